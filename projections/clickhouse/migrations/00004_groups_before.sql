-- What was stored before the tables of 00003 were there: joins and leaves, which
-- carried no more than the member and the role, channels, which could only be
-- made, and recalls. Where nothing was, and where this is made again, nothing
-- changes. What a projection of this version has stored meanwhile knows more and
-- is left alone: its state is there before its events are. No projection of an
-- older version may write beside it.

-- +goose NO TRANSACTION
-- +goose Up

INSERT INTO members (`group`, user, role, joined, joined_seq, ts, seq)
SELECT `group`, member, role, if(kind = 'join', ts, toDateTime64(0, 3, 'UTC')), if(kind = 'join', seq, 0), ts, seq
FROM events FINAL
WHERE channel = '@members' AND kind IN ('join', 'leave') AND (`group`, member) NOT IN (SELECT `group`, user FROM members)
ORDER BY seq DESC
LIMIT 1 BY `group`, member;

INSERT INTO channels (`group`, channel, kind, name, settings, created, user, state_v)
SELECT `group`, about, type, name, '{}', ts, user, v
FROM events FINAL
WHERE channel = '@' AND kind = 'channel_create' AND (`group`, about) NOT IN (SELECT `group`, channel FROM channels);

INSERT INTO moderation (`group`, seq, v, ts, actor, act, member, role, reason)
SELECT `group`, seq, v, ts, user, 'add', member, role, reason
FROM events FINAL
WHERE channel = '@members' AND kind = 'join' AND member != user AND (`group`, seq) NOT IN (SELECT `group`, seq FROM moderation);

INSERT INTO moderation (`group`, seq, v, ts, actor, act, member, channel, n)
SELECT e.`group`, e.seq, e.v, e.ts, e.user, 'recall', m.user, e.channel, e.target
FROM (SELECT * FROM events FINAL WHERE kind = 'recall') AS e
JOIN (SELECT `group`, channel, n, user FROM messages FINAL WHERE recalled = 1) AS m
    ON m.`group` = e.`group` AND m.channel = e.channel AND m.n = e.target
WHERE m.user != e.user;

-- +goose Down

TRUNCATE TABLE IF EXISTS moderation SYNC;
TRUNCATE TABLE IF EXISTS channels SYNC;
TRUNCATE TABLE IF EXISTS members SYNC;
