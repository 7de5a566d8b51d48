"""Many trainings from one file: scenes x settings x seeds, each a run folder, and one table of them all.

plan        the file, checked
data        synthetic scenes, made when they are needed
training    one training, started, continued or found finished
sweeping    all of them, one after the other or on a pool
tables      the results as text and as CSV
page        the results as HTML
"""

from nerf_mini.sweeps.plan import Plan, Task, read_plan
from nerf_mini.sweeps.sweeping import Sweep, run_sweep, write_results
from nerf_mini.sweeps.tables import text_table
from nerf_mini.sweeps.training import Outcome, finished

__all__ = ["Outcome", "Plan", "Sweep", "Task", "finished", "read_plan", "run_sweep", "text_table", "write_results"]
