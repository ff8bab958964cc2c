from dataclasses import dataclass

import pytest

from models.settings import SettingsError, read_settings, setting


@dataclass(frozen=True)
class Oven:
    degrees: float = setting(180.0, low=0, high=300)
    tray: int = setting(2, low=1)
    heat: str = setting("air", choices=("air", "grill"))
    is_on: bool = setting(False)


def test_given_keys_replace_defaults_and_whole_numbers_serve_as_floats():
    assert read_settings(Oven, {"degrees": 200, "heat": "grill"}, where="oven") == Oven(200.0, 2, "grill", False)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"degreees": 1}, r"unknown key 'oven\.degreees'; did you mean 'degrees'\?"),
        ({"xyz": 1}, r"unknown key 'oven\.xyz'; known: degrees, heat, is_on, tray"),
        ({"degrees": 301}, r"oven\.degrees: 301\.0 is out of range; it must be between 0 and 300"),
        ({"degrees": float("nan")}, r"oven\.degrees: nan is out of range"),
        ({"tray": 0}, r"oven\.tray: 0 is out of range; it must be at least 1"),
        ({"tray": 1.5}, r"oven\.tray: expected int, found 1\.5"),
        ({"tray": True}, r"oven\.tray: expected int, found True"),
        ({"is_on": 1}, r"oven\.is_on: expected bool, found 1"),
        ({"heat": "steam"}, r"oven\.heat: 'steam' is not one of air, grill"),
    ],
)
def test_what_is_wrong_is_named(values, message):
    with pytest.raises(SettingsError, match=message):
        read_settings(Oven, values, where="oven")
