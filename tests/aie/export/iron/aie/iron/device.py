# SPDX-License-Identifier: Apache-2.0
class NPU1:
    columns, arch = 4, 20


class NPU2:
    columns, arch = 8, 21
