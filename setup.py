"""Builds the extension modules; everything else is in pyproject.toml.

TXFAST_BUILD chooses how they are built:

    release   optimised, no checks (the default)
    checked   bounds checks, assertions, low optimisation: for the tests
    trace     as checked, with line tracing and without the vector unit: for the coverage of Cython, and the tests of
              what replaces the vector unit
    address   as checked, with the address sanitizer and that of undefined behaviour (for tests.campaigns.sanitizers)
    thread    as checked, with the thread sanitizer

TXFAST_MODULES names the extension modules that are built, if not all.
"""

import os

from Cython.Build import cythonize
from Cython.Compiler import Options
from setuptools import Extension, setup

BUILDS = {
    "release": {
        "directives": {"boundscheck": False, "wraparound": False, "initializedcheck": False},
        "macros": [
            ("CYTHON_WITHOUT_ASSERTIONS", "1"),
            ("NDEBUG", "1"),
            # What is said to be inline is: the compiler by itself calls half of the fast path (a tenth of its time).
            ("CYTHON_INLINE", "inline __attribute__((always_inline))"),
        ],
        "compile": ["-O3", "-g0", "-flto=auto"],
        "link": ["-O3", "-flto=auto"],
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

# Python's own flags have signed overflow wrap, which hides it from the sanitizer.
SANITIZED = [*BUILDS["checked"]["compile"], "-fno-wrapv", "-fno-omit-frame-pointer"]
for name, sanitizers in {"address": "address,undefined", "thread": "thread"}.items():
    flags = [f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all"]
    BUILDS[name] = BUILDS["checked"] | {"compile": [*SANITIZED, *flags], "link": flags}

MODULES = [
    "txfast.batch.batch",
    "txfast.batch.cursor",
    "txfast.batch.header",
    "txfast.ledger.sorted_accounts",
    "txfast.ledger.ledger",
    "txfast.ledger.columns_in",
    "txfast.ledger.columns_out",
    "txfast.readers.arrow_lines",
    "txfast.readers.row",
    "txfast.readers.table_rows",
    "txfast.readers.csv",
    "txfast.spill.partitions",
    "txfast.spill.runs",
    "txfast.spill.slices",
    "txfast.spill.statuses",
    "txfast.writers.accounts_csv",
    "txfast.writers.arrow_buffers",
    "txfast.writers.reject_columns",
    "txfast.writers.reject_text",
]

# What Cython's memory views need, made by Cython itself: once, where each module would else have it. Cython enters
# it among all modules by its last name too, which is therefore one that nobody else has.
SHARED = "txfast._txfast_views"

build_name = os.environ.get("TXFAST_BUILD", "release")
if build_name not in BUILDS:
    raise SystemExit(f"TXFAST_BUILD={build_name}: it is one of {', '.join(BUILDS)}")
build = BUILDS[build_name]
modules = os.environ.get("TXFAST_MODULES", " ".join([*MODULES, SHARED])).split()

# A warning of Cython's is a defect here.
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
    # A folder for each, so that one build never takes another's modules for its own.
    options={"build": {"build_base": f"build/{build_name}"}, "build_ext": {"parallel": os.cpu_count() or 1}},
    ext_modules=cythonize(
        extensions,
        build_dir=f"build/cython-{build_name}",
        shared_utility_qualified_name=SHARED,
        # Directives are not part of what cythonize compares, so another build starts afresh.
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
    )
)
