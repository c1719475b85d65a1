-- What groups are beside their messages: reactions, members, channels,
-- attributes, and who moderated whom. Every row but a channel's is a function
-- of one event, so writing it again or late changes nothing.

-- +goose NO TRANSACTION
-- +goose Up

ALTER TABLE events
    ADD COLUMN IF NOT EXISTS emoji    String COMMENT 'react, unreact: the emoji',
    ADD COLUMN IF NOT EXISTS count    UInt64 COMMENT 'react, unreact: users with the emoji at the message after it',
    ADD COLUMN IF NOT EXISTS key      String COMMENT 'attr_set, attr_del: the key',
    ADD COLUMN IF NOT EXISTS value    String COMMENT 'attr_set: the value',
    ADD COLUMN IF NOT EXISTS until    Int64  COMMENT 'mute, ban, invite: when it ends, ms since 1970 UTC; for good is -1 of a mute and 0 of a ban',
    ADD COLUMN IF NOT EXISTS settings String COMMENT 'group_update, channel_create, channel_update: the settings after it, a JSON object',
    ADD COLUMN IF NOT EXISTS invite   String COMMENT 'invite, invite_revoke: id of the invitation; join: the one it came by',
    ADD COLUMN IF NOT EXISTS deleted  Bool   COMMENT 'group_update: the group is gone';

ALTER TABLE events
    COMMENT COLUMN kind   'message, edit, recall, react, unreact, pin, unpin; on @ group_update, channel_create, channel_update, channel_delete; attr_set, attr_del; on @members join, leave, role, mute, unmute, ban, unban, kick, join_request, join_decline, user_groups, invite, invite_revoke, block, unblock',
    COMMENT COLUMN target 'edit, recall, react, unreact, pin, unpin: n of the message',
    COMMENT COLUMN member 'events of @members about a member: whom it is about',
    COMMENT COLUMN role   'join, role: member, moderator, admin or owner; empty for none',
    COMMENT COLUMN reason 'why: of events about members, and of what deletes a group, a channel or an attribute',
    COMMENT COLUMN about  'channel_create, channel_update, channel_delete: the channel',
    COMMENT COLUMN name   'group_update, channel_create, channel_update: name for people';

CREATE TABLE IF NOT EXISTS reactions (
    `group`       String                         COMMENT 'group of the message',
    channel       String                         COMMENT 'channel of the message',
    n             UInt64                         COMMENT 'number of the message' CODEC(Delta, LZ4),
    user          String                         COMMENT 'who reacted',
    emoji         String                         COMMENT 'with what',
    ts            DateTime64(3, 'UTC')           COMMENT 'when it was put there or taken back, server time' CODEC(Delta, LZ4),
    removed       UInt8                          COMMENT '1: taken back',
    state_v       UInt64                         COMMENT 'version of the event; the highest wins' CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(state_v)
ORDER BY (`group`, channel, n, user, emoji)
SETTINGS index_granularity = 1024
COMMENT 'Who reacted to which message with what, one row per message, user and emoji; read with FINAL and removed = 0. Reactions to messages recalled since are still in it.';

-- Beside reactions, because a message may have 100,000: a page of history
-- reads one row per emoji here.
CREATE TABLE IF NOT EXISTS reaction_counts (
    `group`       String                         COMMENT 'group of the message',
    channel       String                         COMMENT 'channel of the message',
    n             UInt64                         COMMENT 'number of the message' CODEC(Delta, LZ4),
    emoji         String                         COMMENT 'the emoji',
    count         UInt64                         COMMENT 'users with the emoji at the message',
    state_v       UInt64                         COMMENT 'version of the event it is from; the highest wins' CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(state_v)
ORDER BY (`group`, channel, n, emoji)
SETTINGS index_granularity = 1024
COMMENT 'How many reacted to which message with what, one row per message and emoji; read with FINAL.';

CREATE TABLE IF NOT EXISTS members (
    `group`       String                         COMMENT 'the group',
    user          String                         COMMENT 'whose standing in it this is',
    role          LowCardinality(String)         COMMENT 'member, moderator, admin or owner; empty for no member: left, kicked, banned, waiting',
    joined        DateTime64(3, 'UTC')           COMMENT 'when the latest join was, server time; 1970-01-01 for never' CODEC(Delta, LZ4),
    joined_seq    UInt64                         COMMENT 'sequence of that join in the partition, 0 for never' CODEC(Delta, LZ4),
    muted_until   Int64                          COMMENT 'ms since 1970 UTC, 0: not muted, -1: for good',
    banned        Bool                           COMMENT 'may not come back',
    banned_until  Int64                          COMMENT 'ms since 1970 UTC; 0 of who is banned: for good',
    waiting       Bool                           COMMENT 'asked to join, not decided',
    user_groups   Array(LowCardinality(String))  COMMENT 'named user groups, ascending',
    blocks_peer   Bool                           COMMENT 'direct: has blocked the other',
    ts            DateTime64(3, 'UTC')           COMMENT 'when this last changed, server time' CODEC(Delta, LZ4),
    seq           UInt64                         COMMENT 'sequence of the event it is from; the highest wins' CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(seq)
ORDER BY (`group`, user)
SETTINGS index_granularity = 1024
COMMENT 'How users stand in groups now, also those who left, one row per group and user; read with FINAL and role != '''' for members. Of a large room it holds only who joined, not who is merely present.';

CREATE TABLE IF NOT EXISTS attributes (
    `group`       String                         COMMENT 'the group',
    channel       String                         COMMENT '@ for the group''s own, else the channel they are of',
    key           String                         COMMENT 'the key',
    v             UInt64                         COMMENT 'version of the event, and so of the key' CODEC(Delta, LZ4),
    seq           UInt64                         COMMENT 'sequence of that event in the partition' CODEC(Delta, LZ4),
    ts            DateTime64(3, 'UTC')           COMMENT 'when, server time' CODEC(Delta, LZ4),
    user          String                         COMMENT 'who set or deleted it',
    value         String                         COMMENT 'the value from then on; empty where it was deleted' CODEC(ZSTD(1)),
    deleted       UInt8                          COMMENT '1: it does not exist from then on',
    auto_delete   Bool                           COMMENT 'ends with its setter''s presence',
    protected     Bool                           COMMENT 'only its setter or a moderator may change it',
    reason        LowCardinality(String)         COMMENT 'deleted: gone where the setter''s presence ended'
)
ENGINE = ReplacingMergeTree
ORDER BY (`group`, channel, key, v)
SETTINGS index_granularity = 1024
COMMENT 'Every value every attribute ever had, one row per change; read with FINAL. attributes_now has what holds.';

CREATE VIEW IF NOT EXISTS attributes_now AS
SELECT `group`, channel, key, value, v, ts, user, auto_delete, protected
FROM (SELECT * FROM attributes ORDER BY `group`, channel, key, v DESC LIMIT 1 BY `group`, channel, key)
WHERE deleted = 0;

CREATE TABLE IF NOT EXISTS moderation (
    `group`       String                         COMMENT 'the group',
    seq           UInt64                         COMMENT 'sequence of the event in the partition' CODEC(Delta, LZ4),
    v             UInt64                         COMMENT 'its version in its channel' CODEC(Delta, LZ4),
    ts            DateTime64(3, 'UTC')           COMMENT 'when, server time' CODEC(Delta, LZ4),
    actor         String                         COMMENT 'who did it; @server and the like for the system',
    act           LowCardinality(String)         COMMENT 'add, kick, ban, unban, mute, unmute, role, decline, user_groups, invite, invite_revoke; recall of another''s message',
    member        String                         COMMENT 'to whom: of a recall the author; empty for invitations',
    channel       String                         COMMENT 'recall: channel of the message',
    n             UInt64                         COMMENT 'recall: number of the message',
    until         Int64                          COMMENT 'mute, ban, invite: when it ends, ms since 1970 UTC, -1: never; 0 for other acts',
    role          LowCardinality(String)         COMMENT 'add, role: the role given',
    user_groups   Array(LowCardinality(String))  COMMENT 'user_groups: all the member is in from then on',
    invite        String                         COMMENT 'invite, invite_revoke: id of the invitation',
    reason        String                         COMMENT 'why'
)
ENGINE = ReplacingMergeTree
ORDER BY (`group`, seq)
SETTINGS index_granularity = 1024
COMMENT 'What users did about other users, one row per act; read with FINAL.';

CREATE TABLE IF NOT EXISTS channels (
    `group`        String                        COMMENT 'the group',
    channel        String                        COMMENT 'name of the channel',
    kind           LowCardinality(String)        COMMENT 'public, private or thread',
    name           String                        COMMENT 'name for people',
    parent_channel String                        COMMENT 'thread: the channel it hangs from, else empty',
    parent_n       UInt64                        COMMENT 'thread: the message it hangs from; 0: the channel itself',
    settings       String                        COMMENT 'a JSON object: write (least role), write_groups, read_groups, slow_mode_ms, position, category; absent where not set',
    deleted        UInt8                         COMMENT '1: gone; its name stays taken',
    created        DateTime64(3, 'UTC')          COMMENT 'when it was made, server time',
    user           String                        COMMENT 'who made it',
    state_v        UInt64                        COMMENT 'version in @ of the newest event folded into this row; the highest wins'
)
ENGINE = ReplacingMergeTree(state_v)
ORDER BY (`group`, channel)
SETTINGS index_granularity = 1024
COMMENT 'Channels as they are now, one row per channel; read with FINAL.';

-- +goose Down

DROP TABLE IF EXISTS channels SYNC;
DROP TABLE IF EXISTS moderation SYNC;
DROP VIEW IF EXISTS attributes_now SYNC;
DROP TABLE IF EXISTS attributes SYNC;
DROP TABLE IF EXISTS members SYNC;
DROP TABLE IF EXISTS reaction_counts SYNC;
DROP TABLE IF EXISTS reactions SYNC;
ALTER TABLE events
    DROP COLUMN IF EXISTS emoji, DROP COLUMN IF EXISTS count, DROP COLUMN IF EXISTS key, DROP COLUMN IF EXISTS value,
    DROP COLUMN IF EXISTS until, DROP COLUMN IF EXISTS settings, DROP COLUMN IF EXISTS invite, DROP COLUMN IF EXISTS deleted;
