"""Late imports: the library is imported at first use, and a function that uses it can be sent to another process."""

import pickle
import subprocess
import sys

import pyarrow
import pytest

from txfast import late
from txfast.errors import MemoryLimitError
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


PROGRAM = """\
import resource, sys
from txfast import late
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]), resource.RLIM_INFINITY))
print(late.pyarrow_may_start_threads())
try:
    late.pa.array
except MemoryError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the address space that is used is in /proc")
def test_pyarrow_is_not_imported_where_the_address_space_is_too_small() -> None:
    for limit, said in (
        (1 << 62, "False\n"),
        (100 << 20, "False\npyarrow needs 128MiB of address space and more, and "),
    ):
        ended = subprocess.run([sys.executable, "-c", PROGRAM, str(limit)], capture_output=True, text=True, check=True)
        assert ended.stdout.startswith(said)
    assert ended.stdout.endswith("MiB: raise it (ulimit -v)\n")


def test_the_limit_of_the_address_space_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert late.pyarrow_may_start_threads()
    late.check_address_space(1 << 62)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1 << 50, 1 << 50))
    assert not late.pyarrow_may_start_threads()
    late.check_address_space(1 << 20)
    with pytest.raises(MemoryLimitError, match=r"raise it \(ulimit -v\)$"):
        late.check_address_space(1 << 51)
    monkeypatch.setattr("builtins.open", lambda *_: (_ for _ in ()).throw(FileNotFoundError()))
    late.check_address_space(1 << 51)  # a system that does not say what is used
