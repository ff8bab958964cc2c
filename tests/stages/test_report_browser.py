"""The report in a browser: nothing complains, every picture loads, the controls do what they say."""

import pytest

from pipeline import params as params_module
from pipeline.imports import ROOT
from pipeline.run import Job
from stages import artifacts, report
from tests.stages import finished
from tests.stages.chromium import PROGRAM, Chromium

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium")

METHODS = ["adgan", "pg2"]
COLOUR = """(image => {
  const canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
  canvas.width = canvas.height = 1;
  pen.drawImage(image, 0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
})"""
SHOWN = f"[...document.querySelectorAll('.slot img')].map({COLOUR})"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browsed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        finished.finish(METHODS)
        params = params_module.load(ROOT / "params.yaml")
        params.methods["pg2"] = {}
        report.run(Job("report", "", params))
    return (folder / artifacts.DATA / "report" / "index.html").as_uri()


@pytest.fixture(scope="module")
def browser(page, tmp_path_factory):
    with Chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def opened(browser, page):
    browser.open(page)
    browser.wait_for("[...document.querySelectorAll('.slot img')].every(image => image.complete)")
    return browser


def _choose(browser, name, value):
    browser.ask(
        f"(one => {{ one.value = '{value}'; one.dispatchEvent(new Event('change')); }})"
        f"(document.querySelector('.explorer [name={name}]'))"
    )
    browser.wait_for("[...document.querySelectorAll('.slot img')].every(image => image.complete)")


def _chosen_pair(browser):
    return finished.PAIRS.index(
        tuple(
            browser.ask("document.querySelector('select[name=pair]').selectedOptions[0].text")
            .split(": ")[-1]
            .split(" → ")
        )
    )


def test_nothing_complains_and_every_picture_loads(opened):
    opened.ask("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    broken = "[...document.images].filter(image => !(image.complete && image.naturalWidth)).length"
    opened.wait_for(f"{broken} === 0")
    assert opened.ask("document.images.length") > 50
    assert opened.errors == []
    assert [url for url in opened.requests if not url.startswith(("file:", "data:"))] == []


def test_the_first_pair_is_shown_with_result_over_target(opened):
    source, target = finished.PAIRS[_chosen_pair(opened)]
    below, above = opened.ask(SHOWN)
    assert below == pytest.approx(finished.colour_of("source", target), abs=2)
    assert above == pytest.approx(finished.colour_drawn(0, finished.PAIRS.index((source, target))), abs=2)
    assert "best of ADGAN" in opened.ask("document.querySelector('.told').textContent")


def test_domain_pair_method_and_side_can_be_picked(opened):
    _choose(opened, "domain", "target")
    _choose(opened, "pair", "2")
    _choose(opened, "method", "pg2")
    opened.ask("document.querySelector('input[value=source]').click()")
    place = _chosen_pair(opened)
    below, above = opened.ask(SHOWN)
    assert below == pytest.approx(finished.colour_of("target", finished.PAIRS[place][0]), abs=2)
    assert above == pytest.approx(finished.colour_drawn(1, place), abs=2)
    score = f"{finished.scores_of(1, finished.PAIRS[place]):.3f}"
    assert score in opened.ask("document.querySelector('.told').textContent")


def test_buttons_go_round_the_pairs(opened):
    count = opened.ask("document.querySelectorAll('select[name=pair] option').length")
    opened.ask("document.querySelector('[data-step=\"-1\"]').click()")
    assert opened.ask("document.querySelector('select[name=pair]').value") == str(count - 1)
    opened.ask("document.querySelector('[data-step=\"1\"]').click()")
    assert opened.ask("document.querySelector('select[name=pair]').value") == "0"


def test_the_slider_is_moved_by_keys(opened):
    opened.ask("document.querySelector('.stage input').focus()")
    for _ in range(3):
        opened.press("ArrowRight", 39)
    assert opened.ask("document.querySelector('.stage').style.getPropertyValue('--at')") == "53%"
    assert opened.ask("getComputedStyle(document.querySelector('.slot img:nth-child(2)')).clipPath").count("47%") == 1


@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_a_phone(opened, dark):
    opened.resize(390, 844, dark=dark)
    try:
        assert opened.ask("document.documentElement.scrollWidth") <= 390
        paper = opened.ask("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, paper[4:-1].split(","))) < 200) == dark
    finally:
        opened.resize(1280, 900)


def test_without_scripts_the_grids_are_there(opened, page):
    opened.tell("Emulation.setScriptExecutionDisabled", value=True)
    opened.open(page)
    opened.tell("Emulation.setScriptExecutionDisabled", value=False)
    assert opened.ask("document.querySelector('.explorer').hidden")
    assert opened.ask("document.querySelectorAll('.board .strip img').length") > 50
