-- The authoritative description of what history stores. ClickHouse has no
-- transactions: each statement can be repeated, so that a migration that broke
-- off, or that two processes make at once, ends in the same place.

-- +goose NO TRANSACTION
-- +goose Up

CREATE TABLE IF NOT EXISTS events (
    `partition`   UInt32                         COMMENT 'partition of the log, LOG_<partition>',
    seq           UInt64                         COMMENT 'sequence in the partition: total order of a group, with holes' CODEC(Delta, LZ4),
    `group`       String                         COMMENT 'group the event belongs to',
    channel       String                         COMMENT 'channel of the group; @ for settings, @members for joins and leaves',
    v             UInt64                         COMMENT 'version: counts the events of a channel from 1, without holes' CODEC(Delta, LZ4),
    n             UInt64                         COMMENT 'messages of the channel so far, a message itself included' CODEC(Delta, LZ4),
    epoch         UInt64                         COMMENT 'term of the sequencer that wrote it: the sequence of its fence' CODEC(Delta, LZ4),
    prev          UInt64                         COMMENT 'seq of the channel''s previous event, 0 for the first' CODEC(Delta, LZ4),
    ts            DateTime64(3, 'UTC')           COMMENT 'when it was accepted, server time' CODEC(Delta, LZ4),
    kind          LowCardinality(String)         COMMENT 'message, edit, recall, group_update, channel_create, join, leave',
    user          String                         COMMENT 'who caused it',
    client_id     UUID                           COMMENT 'UUIDv7 the sender made for the command; zero for none',
    type          LowCardinality(String)         COMMENT 'message: text or the application''s own; group_update and channel_create: kind of group or channel',
    body          String                         COMMENT 'message, edit: the body byte for byte' CODEC(ZSTD(1)),
    body_json     Bool                           COMMENT 'body is a JSON object, else text',
    mentions      Array(String)                  COMMENT 'message: users it mentions',
    mention_all   Bool                           COMMENT 'message: mentions all',
    mention_roles Array(LowCardinality(String))  COMMENT 'message: roles it mentions',
    reply_to      UInt64                         COMMENT 'message: n it answers, 0 for none',
    priority      LowCardinality(String)         COMMENT 'message: high, normal or low',
    expires       Int64                          COMMENT 'message: ms since 1970 UTC, 0 for never',
    target        UInt64                         COMMENT 'edit, recall: n of the message',
    member        String                         COMMENT 'join, leave: whom it is about',
    role          LowCardinality(String)         COMMENT 'join: none, member, moderator, admin or owner',
    reason        String                         COMMENT 'join, leave: why',
    about         String                         COMMENT 'channel_create: the channel made',
    name          String                         COMMENT 'group_update, channel_create: name for people',
    payload       String                         COMMENT 'the event as the log has it: a protobuf throng.stream.v1.Event' CODEC(ZSTD(1)),

    -- How far each partition is stored. It lies in the same part as the rows it
    -- counts, so it can be neither ahead of them nor behind; a materialized view
    -- is written beside and could be both after a crash.
    PROJECTION heads (SELECT `partition`, max(seq), max(epoch) GROUP BY `partition`)
)
ENGINE = ReplacingMergeTree
ORDER BY (`group`, channel, v)
SETTINGS index_granularity = 1024, deduplicate_merge_projection_mode = 'rebuild'
COMMENT 'Everything that ever happened, one row per event; read with FINAL. Bodies of recalled messages are still in it: messages says which.';

CREATE TABLE IF NOT EXISTS messages (
    `group`       String                         COMMENT 'group of the message',
    channel       String                         COMMENT 'channel of the message',
    n             UInt64                         COMMENT 'number: counts the messages of a channel from 1, without holes' CODEC(Delta, LZ4),
    v             UInt64                         COMMENT 'version of the event that posted it' CODEC(Delta, LZ4),
    seq           UInt64                         COMMENT 'sequence of that event in the partition' CODEC(Delta, LZ4),
    ts            DateTime64(3, 'UTC')           COMMENT 'when it was posted, server time' CODEC(Delta, LZ4),
    user          String                         COMMENT 'who posted it',
    client_id     UUID                           COMMENT 'UUIDv7 the sender made for it; zero for none',
    type          LowCardinality(String)         COMMENT 'text or the application''s own',
    body          String                         COMMENT 'the body as it reads now, byte for byte; empty once recalled' CODEC(ZSTD(1)),
    body_json     Bool                           COMMENT 'body is a JSON object, else text',
    mentions      Array(String)                  COMMENT 'users it mentions; empty once recalled',
    mention_all   Bool                           COMMENT 'mentions all; false once recalled',
    mention_roles Array(LowCardinality(String))  COMMENT 'roles it mentions; empty once recalled',
    reply_to      UInt64                         COMMENT 'n it answers, 0 for none',
    priority      LowCardinality(String)         COMMENT 'high, normal or low',
    expires       Int64                          COMMENT 'ms since 1970 UTC, 0 for never',
    edited_ts     DateTime64(3, 'UTC')           COMMENT 'when it was last edited; 1970-01-01 for never',
    recalled      UInt8                          COMMENT '1: taken back; it keeps its n and has no body',
    state_v       UInt64                         COMMENT 'version of the newest event folded into this row; the highest wins' CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(state_v)
ORDER BY (`group`, channel, n)
SETTINGS index_granularity = 1024
COMMENT 'Messages as they read now, one row per message; read with FINAL.';

CREATE TABLE IF NOT EXISTS events_refused (
    `partition`   UInt32                         COMMENT 'partition of the log, LOG_<partition>',
    seq           UInt64                         COMMENT 'sequence in the partition',
    subject       String                         COMMENT 'subject it was stored under',
    reason        String                         COMMENT 'why it could not be read',
    data          String                         COMMENT 'what the log has there, byte for byte' CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (`partition`, seq)
COMMENT 'Entries of the log that could not be read as events, set aside; read with FINAL.';

-- +goose Down

DROP TABLE IF EXISTS events_refused SYNC;
DROP TABLE IF EXISTS messages SYNC;
DROP TABLE IF EXISTS events SYNC;
