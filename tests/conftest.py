"""What holds for all tests."""


def pytest_collection_modifyitems(items):
    """Browser tests last: Playwright leaves an event loop in the main thread, and ``asyncio.run`` refuses to run then."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)
