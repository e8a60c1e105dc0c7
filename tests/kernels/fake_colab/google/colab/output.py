"""A fake of the part that turns on Colab's widget manager: it remembers that it was asked to."""

custom_widget_manager = False


def enable_custom_widget_manager():
    global custom_widget_manager
    custom_widget_manager = True
