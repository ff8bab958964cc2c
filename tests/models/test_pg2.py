from typing import ClassVar

from tests.models.contract import MethodContract


class TestPg2(MethodContract):
    name = "pg2"
    tiny: ClassVar = {"width": 0.05, "rows": 64, "columns": 44}
