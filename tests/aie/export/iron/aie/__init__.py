# SPDX-License-Identifier: Apache-2.0
"""A stand-in for what exported designs use of mlir-aie's Python API, by its documentation (1.4): it checks what a design says
of the array and runs it on this machine, each core a thread that calls the compiled kernel."""
