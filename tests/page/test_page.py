"""The status page in a real browser: headless Chromium, with and without script, in light and dark, wide and narrow."""

import re
import struct

import pytest
from playwright.sync_api import Page, expect

from conftest import Watched
from harness import REPOSITORY, Gateway
from stage import KEYS, Stage

AXE = REPOSITORY / ".tools" / "page" / "node_modules" / "axe-core" / "axe.min.js"
SCHEMES = ("light", "dark")
PHONE = {"width": 360, "height": 740}
PICTURE = 120_000


def value(tab: Page, name: str) -> int:
    """One of the large figures."""
    figure = tab.locator(".figure", has=tab.get_by_role("heading", name=name, exact=True))
    return int(figure.locator(".value").inner_text().replace(",", ""))


def violations(tab: Page) -> list[str]:
    """What axe-core finds; injected by the debugger, which the page's policy does not bind."""
    tab.evaluate(AXE.read_text())
    found = tab.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert len(found["passes"]) > 10, "axe has not looked at the page"
    return [f"{one['id']}: {one['help']}: {node['html'][:200]}" for one in found["violations"] for node in one["nodes"]]


def test_it_loads_without_a_complaint_and_asks_nobody_else(watched: Watched, stage: Stage):
    tab = watched.open(stage.url)
    expect(tab.get_by_role("heading", level=1)).to_have_text("identity-gateway")
    expect(tab).to_have_title(re.compile(r"^\d+ things need attention · identity-gateway$"))
    for name in ("verifik", "youverify", "accuauth", "onboarding", "back-office", "PROVIDER_UNAVAILABLE", "auth.policy_file"):
        expect(tab.locator("body")).to_contain_text(name)
    # Once refreshed, too.
    with tab.expect_response(stage.url, timeout=20_000):
        pass
    assert watched.complaints == []
    assert {url for url in watched.requests if not url.startswith("data:")} == {stage.url}


def test_nothing_of_a_caller_or_of_a_call_is_on_it(watched: Watched, stage: Stage):
    text = watched.open(stage.url).content()
    secrets = (*KEYS, *KEYS.values(), stage.token, "desk-", "shop-", "RAZR811011HVZXPB01", "person_nobody", "keys\"")
    assert [secret for secret in secrets if secret in text] == []
    # Numbers of people, and no digits of a hash or of a time.
    assert re.findall(r"(?<![0-9a-f.])716[45]\d{4}(?![0-9a-f])", text) == []


def test_it_is_refreshed_under_load_without_being_loaded_again(watched: Watched, stage: Stage):
    tab = watched.open(stage.url)
    tab.evaluate("window.untouched = true")
    link = tab.get_by_role("link", name="What to do").first
    link.focus()
    before = value(tab, "Calls")
    stage.some_calls(50)
    tab.wait_for_function(
        "before => +document.querySelector('.figure .value').textContent.replaceAll(',', '') >= before + 50", arg=before
    )
    assert tab.evaluate("window.untouched") is True
    expect(link).to_be_focused()
    expect(tab.locator("#state")).to_have_text("Refreshed every 5 s")
    assert watched.complaints == []


@pytest.mark.parametrize("watched", [{"java_script_enabled": False}], indirect=True)
def test_without_a_script_it_shows_the_same_and_loads_itself_again(watched: Watched, stage: Stage):
    def hurry(route) -> None:
        answer = route.fetch()
        text = answer.text()
        assert text.count('<meta http-equiv="refresh" content="30">') == 1
        route.fulfill(response=answer, body=text.replace('content="30"', 'content="1"'))

    watched.tab.route(stage.url, hurry)
    tab = watched.open(stage.url)
    expect(tab.locator("#state")).to_have_text("Refreshed every 30 s")
    expect(tab.locator("#pause")).to_be_hidden()
    before = value(tab, "Calls")
    assert before >= 300
    stage.some_calls(20)
    with tab.expect_event("domcontentloaded"):
        pass
    # It may have come back before the calls had.
    expect(tab.locator(".figure .value").first).not_to_have_text(f"{before:,}")


def test_everything_can_be_reached_by_the_keyboard(watched: Watched, stage: Stage):
    tab = watched.open(stage.url)
    reachable = tab.locator("a[href]:visible, button:visible, [tabindex='0']:visible").count()
    seen = []
    for _ in range(reachable):
        tab.keyboard.press("Tab")
        focused = tab.evaluate("""() => {
            const one = document.activeElement, style = getComputedStyle(one);
            return [one.textContent.trim(), style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2];
        }""")
        seen.append(focused)
    assert seen[0][0] == "Skip to the figures" and seen[1][0] == "Pause"
    assert [text for text, shows in seen if not shows] == []
    assert [text for text, _ in seen][-5:] == ["Metrics", "Readiness", "Liveness", "Log filter", "Runbook"]
    assert len(seen) == reachable > 8


def test_it_can_be_paused_and_says_when_the_gateway_is_gone(watched: Watched):
    with Gateway() as gateway:
        tab = watched.open(f"http://{gateway.admin}/")
        tab.get_by_role("button", name="Pause").press("Enter")
        state = tab.locator("#state")
        expect(state).to_have_text("Paused")
        tab.get_by_role("button", name="Resume").press("Enter")
        expect(state).to_have_text("Refreshed every 5 s")
    expect(state).to_have_text(re.compile(r"^No answer since \d\d:\d\d:\d\d UTC: the figures are old$"))


@pytest.mark.parametrize("watched", [{"color_scheme": scheme} for scheme in SCHEMES], ids=SCHEMES, indirect=True)
def test_axe_finds_nothing(watched: Watched, stage: Stage, quiet: Gateway):
    for url in (stage.url, f"{stage.url}runbook", f"http://{quiet.admin}/"):
        assert violations(watched.open(url)) == [], url


@pytest.mark.parametrize("watched", [{"viewport": PHONE}], indirect=True)
def test_on_a_phone_nothing_has_to_be_moved_sideways(watched: Watched, stage: Stage, quiet: Gateway):
    for url in (stage.url, f"{stage.url}runbook", f"http://{quiet.admin}/"):
        tab = watched.open(url)
        assert tab.evaluate("document.documentElement.scrollWidth") == PHONE["width"], url
        cut = tab.evaluate("""() => [...document.querySelectorAll("main *")]
            .filter(one => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX !== "visible"
                && !one.closest(".unseen"))
            .map(one => one.outerHTML.slice(0, 100))""")
        assert cut == [], url


def test_a_notice_leads_to_its_section_of_the_runbook(watched: Watched, stage: Stage):
    tab = watched.open(stage.url)
    tab.get_by_role("link", name="IdgwReloadRefused").click()
    expect(tab).to_have_url(f"{stage.url}runbook#idgwreloadrefused")
    expect(tab.get_by_role("heading", name="IdgwReloadRefused")).to_be_in_viewport()
    tab.get_by_role("link", name="Status").click()
    expect(tab).to_have_url(stage.url)
    assert watched.complaints == []


def test_a_gateway_without_providers_says_so(watched: Watched, quiet: Gateway):
    tab = watched.open(f"http://{quiet.admin}/")
    expect(tab.locator("article")).to_have_count(3)
    expect(tab.locator("article").first).to_contain_text("not configured")
    expect(tab.locator("body")).to_contain_text("no_credential")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_documents_have_a_small_picture_of_it(scheme: str):
    picture = (REPOSITORY / "docs" / f"status-{scheme}.png").read_bytes()
    assert len(picture) < PICTURE
    width, height = struct.unpack(">II", picture[16:24])
    assert 1000 <= width <= 2000 and height > 600
    assert f"status-{scheme}.png" in (REPOSITORY / "docs" / "observability.md").read_text()
