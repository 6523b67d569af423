"""Evaluations: whether a team answers a set of questions better than its best agent alone."""

from massgen_bridge.evaluation.contestants import Contestant, contestants_of
from massgen_bridge.evaluation.dataset import Dataset, Question, builtin_datasets, read_dataset
from massgen_bridge.evaluation.evaluator import Evaluator, Task
from massgen_bridge.evaluation.report import (
    Comparison,
    Report,
    Standing,
    TagCount,
    Unanswered,
    make_report,
)
from massgen_bridge.evaluation.results import (
    Begun,
    Cell,
    Graded,
    Opening,
    Results,
    find_results,
    new_results,
)

__all__ = [
    "Begun",
    "Cell",
    "Comparison",
    "Contestant",
    "Dataset",
    "Evaluator",
    "Graded",
    "Opening",
    "Question",
    "Report",
    "Results",
    "Standing",
    "TagCount",
    "Task",
    "Unanswered",
    "builtin_datasets",
    "contestants_of",
    "find_results",
    "make_report",
    "new_results",
    "read_dataset",
]
