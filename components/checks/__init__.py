"""Check what a source holds against the columns of the pipeline file, row by row.

A bad row goes to quarantine with the column, the rule and the value; a bad label takes only
the label there, for the record itself can still be scored.
"""

from components.checks.claims import Settled, settle
from components.checks.columns import (
    LABEL_KNOWN,
    OWN_PREFIX,
    absent_columns,
    needed_columns,
    require_columns,
    require_label_columns,
    require_names,
)
from components.checks.labels import (
    CheckedLabels,
    check_label_batch,
    check_labels,
    settle_labels,
)
from components.checks.late import late_lines
from components.checks.lines import Extent, absence_lines
from components.checks.rows import (
    Checked,
    CheckedBatch,
    RowChecks,
    check_rows,
    unreadable_times,
)
from components.checks.rules import ABSENT
from components.checks.schema import schema_of

__all__ = [
    "ABSENT",
    "LABEL_KNOWN",
    "OWN_PREFIX",
    "Checked",
    "CheckedBatch",
    "CheckedLabels",
    "Extent",
    "RowChecks",
    "Settled",
    "absence_lines",
    "absent_columns",
    "check_label_batch",
    "check_labels",
    "check_rows",
    "late_lines",
    "needed_columns",
    "require_columns",
    "require_label_columns",
    "require_names",
    "schema_of",
    "settle",
    "settle_labels",
    "unreadable_times",
]
