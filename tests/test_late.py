"""Late imports: the library is imported at first use, and a function that uses it can be sent to another process."""

import pickle
import subprocess
import sys

import pyarrow
import pytest

from txfast.late import pa


def test_a_late_module_gives_what_the_module_has() -> None:
    assert pa.int64() == pyarrow.int64()
    assert pa.ipc is pyarrow.ipc
    with pytest.raises(AttributeError, match="'pyarrow' has no attribute 'nothing'"):
        _ = pa.nothing


def test_a_late_module_survives_pickling() -> None:
    sent = pickle.loads(pickle.dumps({"pa": pa}))
    assert sent["pa"].int64() == pyarrow.int64()


def test_the_import_waits_for_the_first_use() -> None:
    program = (
        "import sys; from txfast.late import pa; "
        "print('pyarrow' in sys.modules); pa.int64(); print('pyarrow' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed == "False\nTrue\n"
