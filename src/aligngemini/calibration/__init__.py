"""Thresholds that a user set on images of their own, with a guarantee: the file and its use."""

from aligngemini.calibration.applied import CalibratedBranch, CalibratedRule
from aligngemini.calibration.file import (
    VERSION,
    BranchCalibration,
    CalibrationError,
    CalibrationFile,
    Curve,
    GroupCalibration,
    Quality,
    moved,
    read_calibration,
    write_calibration,
)

__all__ = [
    "VERSION",
    "BranchCalibration",
    "CalibratedBranch",
    "CalibratedRule",
    "CalibrationError",
    "CalibrationFile",
    "Curve",
    "GroupCalibration",
    "Quality",
    "moved",
    "read_calibration",
    "write_calibration",
]
