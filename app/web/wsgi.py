"""What the web server loads: `python -m app.web.serve --interface wsgi app.web.wsgi:app`."""

from app.core.lifetime import die_with_parent_if_asked
from app.web.factory import create_app

die_with_parent_if_asked()
app = create_app()
