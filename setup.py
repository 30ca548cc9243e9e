"""Builds the extension modules; everything else is in pyproject.toml.

TXFAST_BUILD chooses how they are built:

    release   optimised, without checks (the default)
    checked   with bounds checks and assertions, low optimisation: for the tests
    trace     as checked, with line tracing and without the vector unit: for the coverage of Cython, and for tests of
              the code that replaces the vector unit
    address   as checked, with the sanitizers of addresses and of undefined behaviour (tests.campaigns.sanitizers)
    thread    as checked, with the thread sanitizer

TXFAST_MODULES names the extension modules to build, separated by blanks; without it all are built.

CC chooses the compiler. GCC from 11 on and Clang from 14 on build the release.
"""

import os
import shlex
import subprocess
import sysconfig

from Cython.Build import cythonize
from Cython.Compiler import Options
from setuptools import Extension, setup


def compiler_is_gcc() -> bool:
    """Whether the C compiler is GCC, by what it prints as its version."""
    command = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    try:
        version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return False
    return "Free Software Foundation" in version


# Link-time optimisation: Clang has it only with a linker plugin, which is not installed everywhere.
LINK_TIME = ["-flto=auto"] if compiler_is_gcc() else []

BUILDS = {
    "release": {
        "directives": {"boundscheck": False, "wraparound": False, "initializedcheck": False},
        "macros": [
            ("CYTHON_WITHOUT_ASSERTIONS", "1"),
            ("NDEBUG", "1"),
            # Force inlining: otherwise GCC emits calls in half of the fast path (10 % slower).
            ("CYTHON_INLINE", "inline __attribute__((always_inline))"),
        ],
        "compile": ["-O3", "-g0", *LINK_TIME],
        "link": ["-O3", *LINK_TIME],
    },
    "checked": {
        "directives": {"boundscheck": True, "wraparound": False, "initializedcheck": True},
        "macros": [],
        "compile": ["-O1", "-g1", "-UNDEBUG"],
        "link": [],
    },
}
BUILDS["trace"] = BUILDS["checked"] | {
    "directives": BUILDS["checked"]["directives"] | {"linetrace": True},
    "macros": [("CYTHON_TRACE", "1"), ("CYTHON_TRACE_NOGIL", "1"), ("TXFAST_PORTABLE", "1")],
    "compile": ["-O0", "-g1", "-UNDEBUG"],
}

# Python's own flags include -fwrapv, with which the sanitizer does not see signed overflow.
SANITIZED = [*BUILDS["checked"]["compile"], "-fno-wrapv", "-fno-omit-frame-pointer"]
for name, sanitizers in {"address": "address,undefined", "thread": "thread"}.items():
    flags = [f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all"]
    BUILDS[name] = BUILDS["checked"] | {"compile": [*SANITIZED, *flags], "link": flags}

MODULES = [
    "txfast.batch.batch",
    "txfast.batch.cursor",
    "txfast.batch.header",
    "txfast.dialect.compiled",
    "txfast.dialect.currencies",
    "txfast.ledger.account_entries",
    "txfast.ledger.columns_in",
    "txfast.ledger.currency_column",
    "txfast.ledger.disputes_in",
    "txfast.ledger.figures",
    "txfast.ledger.key_order",
    "txfast.ledger.ledger",
    "txfast.ledger.openings",
    "txfast.ledger.route",
    "txfast.ledger.sorted_accounts",
    "txfast.ledger.summaries",
    "txfast.ledger.text_columns",
    "txfast.readers.balance_csv",
    "txfast.readers.balance_parser",
    "txfast.readers.balance_rows",
    "txfast.readers.csv",
    "txfast.readers.json_lines",
    "txfast.readers.json_scan",
    "txfast.readers.row_search",
    "txfast.readers.scan",
    "txfast.readers.line_column",
    "txfast.readers.parquet_footer",
    "txfast.readers.parse_line",
    "txfast.readers.table_rows",
    "txfast.readers.text_reader",
    "txfast.readers.thrift_compact",
    "txfast.report.expected",
    "txfast.spill.partitions",
    "txfast.spill.runs",
    "txfast.spill.slices",
    "txfast.spill.statuses",
    "txfast.store.account_lookup",
    "txfast.store.active",
    "txfast.store.client_loader",
    "txfast.store.columns_of_runs",
    "txfast.store.entry_lookup",
    "txfast.store.ledger_rows",
    "txfast.store.load_rows",
    "txfast.store.new_entries",
    "txfast.store.prefetch",
    "txfast.store.row_order",
    "txfast.store.row_values",
    "txfast.store.run_cursor",
    "txfast.store.run_merge",
    "txfast.store.run_search",
    "txfast.store.seal",
    "txfast.store.segment",
    "txfast.store.segment_filter",
    "txfast.store.segment_form",
    "txfast.store.segment_page",
    "txfast.store.segment_writer",
    "txfast.store.sought",
    "txfast.text.quotes",
    "txfast.writers.accounts_csv",
    "txfast.writers.arrow_buffers",
    "txfast.writers.difference_columns",
    "txfast.writers.reject_columns",
    "txfast.writers.reject_text",
]

# Cython's support code for memory views, built once: otherwise each module has a copy. Cython also registers it in
# sys.modules under its last name alone, so that name must not clash with another package's.
SHARED = "txfast._txfast_views"

build_name = os.environ.get("TXFAST_BUILD", "release")
if build_name not in BUILDS:
    raise SystemExit(f"TXFAST_BUILD={build_name}: must be one of {', '.join(BUILDS)}")
build = BUILDS[build_name]
modules = os.environ.get("TXFAST_MODULES", " ".join([*MODULES, SHARED])).split()

# Cython's warnings are errors.
Options.warning_errors = True

extensions = [
    Extension(
        module,
        [] if module == SHARED else [module.replace(".", "/") + ".pyx"],
        define_macros=build["macros"],
        include_dirs=["."],
        extra_compile_args=["-std=c11", "-Wno-sign-compare", *build["compile"]],
        extra_link_args=build["link"],
        depends=["txfast/text/intrinsics.h"],
    )
    for module in modules
]

setup(
    # A folder for each build, so that none reuses another's modules.
    options={"build": {"build_base": f"build/{build_name}"}, "build_ext": {"parallel": os.cpu_count() or 1}},
    ext_modules=cythonize(
        extensions,
        build_dir=f"build/cython-{build_name}",
        shared_utility_qualified_name=SHARED,
        # cythonize does not compare directives, so every other build starts from nothing.
        force=build_name != "release",
        compiler_directives={
            "language_level": 3,
            "binding": True,
            "cdivision": True,
            "embedsignature": False,
            "overflowcheck": False,
            "warn.unreachable": True,
            "warn.unused": True,
            **build["directives"],
        },
        nthreads=os.cpu_count() or 1,
    ),
)
