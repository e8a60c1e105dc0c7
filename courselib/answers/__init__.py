"""A streamed answer, true to its bytes: ``stream`` reads it as it comes, ``text`` shows tokens as whole characters."""
