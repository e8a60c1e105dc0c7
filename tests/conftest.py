"""What holds for all tests."""


def pytest_collection_modifyitems(items):
    """Browser tests last: Playwright leaves an event loop running, in which ``asyncio.run`` refuses to work."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)
