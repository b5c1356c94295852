"""What a person sees: templates, styles and scripts, and the words and figures they are filled with.

Knows nothing of ours and nothing of HTTP: it is given rows and gives back text. Everything that comes from outside,
names of devices and points before all, is escaped by the templates; nothing here marks text as safe but figures that
are made of numbers only.
"""

from __future__ import annotations

from dashboard.pages import Pages, zone_of

__all__ = ["Pages", "zone_of"]
