"""What version of the brief a proposal was made under."""

from cockpit.core.findings import merged
from cockpit.engine.briefer import brief_version


def test_findings_that_are_merged_into_a_brief_leave_its_version_alone() -> None:
    brief = "# Program\n\nLower it.\n"
    with_findings = merged(brief, "# Findings\n- halve the batch\n")
    assert with_findings != brief
    assert brief_version(with_findings) == brief_version(brief)
    assert brief_version(merged(with_findings, "# Findings\n")) == brief_version(brief)
    assert brief_version("# Program\n\nLower it more.\n") != brief_version(brief)
