-- @id: not-a-uuid
-- @title: {a} {
--	bad
-- @tags:
--   - attack.t9999
-- @dedup: nothing for 1 century
-- @level: loud
-- @level: low
SELECT 1