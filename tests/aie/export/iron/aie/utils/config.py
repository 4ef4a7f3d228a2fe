# SPDX-License-Identifier: Apache-2.0
import os


def cxx_header_path():
    """Where aie_api/aie.hpp is: here the host's."""
    return os.environ["HCCS_AIE_HOST"]
