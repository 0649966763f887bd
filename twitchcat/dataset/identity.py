"""Which image store belongs to which database: the same id is in both.

Without it, a volume that is not mounted or a forgotten `database.url` would make every row, or every image,
look like the rest of a crash, and `dataset sync` would remove all of it.
"""

from sqlalchemy import select

from twitchcat.dataset import schema
from twitchcat.dataset.database import Database
from twitchcat.dataset.images import ImageStore
from twitchcat.errors import ConfigError


def bind(database: Database, store: ImageStore, *, adopt: bool = False) -> None:
    """Make sure that this is the database's image store; a new store is made the database's.

    With `adopt` any store is. Raises ConfigError if it is not, StoreError.
    """
    with database.begin() as connection:
        dataset = str(connection.execute(select(schema.Dataset.id)).scalar_one())
        filled = connection.execute(select(schema.Frame.id).limit(1)).first() is not None
    marked = store.dataset()
    if marked == dataset:
        return
    if adopt or (marked is None and not filled):
        store.mark(dataset)
        return
    seen = "belongs to another database" if marked else "is not the one that this database's frames are in"
    raise ConfigError(
        f"the image store {store.root} {seen}: is its volume mounted, are data_dir and database.url right? "
        "If it is the right one, say so once with twitchcat dataset sync --adopt"
    )
