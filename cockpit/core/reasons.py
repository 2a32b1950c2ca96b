"""Why the guard refuses something, and what to do instead: the second half of its sentences."""

FILES = (
    "reads or writes files, which is the harness's part: rows come from task.next_batch(), "
    "figures go out by task.report(), the model by task.finish(model)"
)
PROCESSES = (
    "starts threads or processes or sets their number; a training is one process of one thread: "
    "leave it out"
)
IDLE = "lets the device wait; leave it out"
NETWORK = "reaches for the network, which a training does not have; leave it out"
SEEDS = (
    "sets a seed, which is the harness's part; leave it out, or seed a generator of your own "
    "with task.seed exactly"
)
ENDING = "ends or stops the process; let main() return after task.finish(model)"
SYSTEM = (
    "reaches into the interpreter or the machine; environment, device and garbage collector are "
    "set up by the harness: leave it out"
)
REFLECTION = "goes round the names in the text; write plain code with plain names"
INTERNALS = (
    "belongs to the harness's inside; use only harness.start, harness.attention, "
    "harness.TaskInfo and the task's public methods"
)
PATCHING = "changes what the harness uses too; write a function or a subclass of your own instead"
CHECKPOINT = (
    "could make the checkpoint another model than the one that is scored; leave saving to "
    "nn.Module, or choose another name"
)
OUTPUT = "is not needed: print() goes to the run's log, figures go out by task.report()"
COMMAND_LINE = "is not needed: a train.py has no command line, its knobs are UPPER_CASE constants"
NOT_YOURS = (
    "is a name of the harness's inside; use the task's public methods, or choose another name "
    "if it is yours"
)
UNWANTED = "is not for a train.py; leave it out"
UNKNOWN_MODULE = "is not among the modules for a train.py; use torch, triton, numpy or plain Python"
FOREIGN_CODE = "compiles, loads or runs code from elsewhere; write it in Python or Triton"
DATA = "data and learnt weights do not go into the text, they are learnt within the budget"
