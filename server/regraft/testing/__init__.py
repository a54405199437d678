"""The plugin test kit: one check a contract, for plugin authors and for regraft itself.

Each check raises AssertionError with a sentence that says what to change.
"""

from regraft.testing.source import check_source_model
from regraft.testing.strategy import check_strategy
from regraft.testing.task import check_task

__all__ = ["check_source_model", "check_strategy", "check_task"]
