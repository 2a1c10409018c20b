-- @id: 5b0c2f3e-8a4d-4c1b-9f67-3d2e1a0b7c95
-- @title: rule {rule} was quarantined and detects nothing
-- @level: high
-- @status: stable
-- @description:
--   A rule reached a bound and was stopped, so that the others go on: what it would find is not found until it runs
--   again. Whoever can start processes that cost a rule much can bring this about.
-- @tags: attack.defense-impairment, attack.t1562
-- @platform: linux, macos, windows
-- @dedup: rule, revision for 1ms
SELECT name AS rule, revision, detail AS reason
FROM rules
WHERE state = 'quarantined'
