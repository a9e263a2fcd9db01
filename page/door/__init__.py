"""What stands before Gradio: who may come in, with what message, and how many at once.

page.launch(app_kwargs={"middleware": [Middleware(Door, page=page, hosts=hosts)]})
"""

from page.door.door import Door
from page.door.hosts import hosts_of

__all__ = ["Door", "hosts_of"]
