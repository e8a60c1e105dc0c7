"""Which engine for which need: ``choose`` ranks them by the ``facts``, each of which has a source."""
