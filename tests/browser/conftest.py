"""A real browser, and pages in it that say what went wrong."""

import shutil

import pytest

BINARY = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@pytest.fixture(scope="module")
def browser():
    if BINARY is None:
        pytest.skip("no chromium on this machine's PATH")
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BINARY, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser, address):
    """Opens the page so wide, in this theme; it keeps its messages, errors and requests elsewhere."""
    contexts = []

    def opened(width=1400, theme="light"):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.heard = []
        page.on("console", lambda message: page.heard.append(message.text))
        page.on("pageerror", lambda error: page.heard.append(str(error)))
        page.on("request", lambda r: r.url.startswith(address) or page.heard.append(r.url))
        page.add_init_script(
            "addEventListener('securitypolicyviolation', (e) => console.log('policy', e.violatedDirective))"
        )
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
