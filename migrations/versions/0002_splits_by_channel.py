"""A channel has a split and its frames follow it, so that no channel can stand in two.

Splits that frames may have had are dropped: nothing assigned any before this revision.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0002"
down_revision: str | Sequence[str] | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

UP = """
ALTER TABLE channels
    ADD COLUMN split text,
    ADD COLUMN split_until timestamptz,
    ADD CONSTRAINT channels_split_known_check CHECK (split IN ('train', 'val', 'test')),
    ADD CONSTRAINT channels_split_until_has_split_check CHECK (split IS NOT NULL OR split_until IS NULL),
    ADD UNIQUE (id, split);
UPDATE frames SET split = NULL WHERE split IS NOT NULL;
ALTER TABLE frames
    ADD FOREIGN KEY (channel_id, split) REFERENCES channels (id, split) ON UPDATE CASCADE ON DELETE CASCADE;
"""

DOWN = """
ALTER TABLE frames DROP CONSTRAINT frames_channel_id_split_fkey;
ALTER TABLE channels
    DROP CONSTRAINT channels_id_split_key,
    DROP COLUMN split,
    DROP COLUMN split_until;
"""


def upgrade() -> None:
    """Give channels a split, and bind that of frames to it."""
    op.execute(UP)


def downgrade() -> None:
    """Let frames keep their splits, without what held them together."""
    op.execute(DOWN)
