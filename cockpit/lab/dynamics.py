"""How the training of an experiment went, in words, from its run directory."""

import contextlib

from cockpit.core.dynamics import told
from cockpit.core.experiment import Experiment
from cockpit.lab.lab import Lab
from cockpit.lab.rundir import RunDirectory, RunDirectoryError


def training_dynamics(lab: Lab, experiment: Experiment) -> list[str]:
    """Return how the training of the first scored run went; nothing where nobody knows."""
    scored = [run for run in experiment.runs if run.val_bpb is not None]
    for run in scored[:1]:
        with contextlib.suppress(RunDirectoryError):
            result = RunDirectory(lab.run_directory(experiment.id, run.number)).read_result()
            if result is not None:
                return told(result.dynamics, result.loss_tenths)
    return []
