-- @id: 00000000-0000-4000-8000-000000000000
-- @tags: a.b,c.d
-- note
SELECT  proc_id, -- lint: allow(DE207) x
 executable_hash /* y */ FROM processes AS p
JOIN processes q ON p.pid = q.ppid AND q.name IN ('a','b') WHERE CASE WHEN p.pid > 1 THEN 1 ELSE 0 END
