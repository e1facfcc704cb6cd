"""How far a bundle is from its checkpoint: every component, and the picture, against a float32 conversion.

The only package that uses both `emit` (to make the reference) and `pipeline` (to run it).
"""

from .bundle import (
    MIN_COSINE,
    MIN_PSNR,
    Accuracy,
    gate_backends,
    record_accuracy,
    verify_backends,
)
from .gate import AccuracyGate
from .meter import Meter
from .metrics import Agreement
from .previews import fits_quickly, record_previews
from .probe import (
    Probe,
    failed_probes,
    probe_backends,
    probe_bundle,
    probe_package,
    record_probes,
)
from .ranges import FLOAT16_MAX, Range, audit_ranges
from .self_test import (
    SELF_TEST_PARAMETERS,
    SelfTestResult,
    can_record,
    parameters_to_run,
    record_self_test,
    run_self_test,
)
from .sizes import SizeChoice, check_functions

__all__ = [
    "FLOAT16_MAX",
    "MIN_COSINE",
    "MIN_PSNR",
    "SELF_TEST_PARAMETERS",
    "Accuracy",
    "AccuracyGate",
    "Agreement",
    "Meter",
    "Probe",
    "Range",
    "SelfTestResult",
    "SizeChoice",
    "audit_ranges",
    "can_record",
    "check_functions",
    "failed_probes",
    "fits_quickly",
    "gate_backends",
    "parameters_to_run",
    "probe_backends",
    "probe_bundle",
    "probe_package",
    "record_accuracy",
    "record_previews",
    "record_probes",
    "record_self_test",
    "run_self_test",
    "verify_backends",
]
