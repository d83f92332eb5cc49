-- The tables and functions of softfail, made at the first check. Every statement may be run again.
-- softfail.check_2 is xfgreylist.policy.decide in PL/pgSQL; the tests hold the two against each other.
-- A new version of the rules gets new names, so that mail exchangers of two versions can share one database.
CREATE SCHEMA IF NOT EXISTS softfail;

CREATE TABLE IF NOT EXISTS softfail.list (
  name text COLLATE "C" PRIMARY KEY, verdict text NOT NULL, since bigint NOT NULL);

CREATE TABLE IF NOT EXISTS softfail.record (
  key text COLLATE "C" PRIMARY KEY, first bigint NOT NULL, last bigint NOT NULL, tries bigint NOT NULL,
  early bigint NOT NULL, passes bigint NOT NULL, expires bigint NOT NULL, host text NOT NULL);

CREATE INDEX IF NOT EXISTS record_expires ON softfail.record (expires);

CREATE OR REPLACE FUNCTION softfail.read_1(wanted text, now bigint) RETURNS softfail.record
LANGUAGE plpgsql AS $$
DECLARE
  found softfail.record;
BEGIN
  SELECT * INTO found FROM softfail.record r WHERE r.key = wanted AND r.expires > now;
  IF found.key IS NULL THEN
    found := (wanted, 0, 0, 0, 0, 0, 0, '');
  END IF;
  RETURN found;
END $$;

CREATE OR REPLACE FUNCTION softfail.touch_1(r softfail.record, now bigint, until bigint) RETURNS void
LANGUAGE sql AS $$
  INSERT INTO softfail.record VALUES (
    r.key, CASE r.first WHEN 0 THEN now ELSE r.first END, now, r.tries + 1, r.early, r.passes, until, r.host)
  ON CONFLICT (key) DO UPDATE SET (first, last, tries, early, passes, expires, host) = (
    excluded.first, excluded.last, excluded.tries, excluded.early, excluded.passes, excluded.expires, excluded.host)
$$;

CREATE OR REPLACE FUNCTION softfail.sweep_1(now bigint, most bigint) RETURNS bigint
LANGUAGE sql AS $$
  WITH gone AS (
    DELETE FROM softfail.record WHERE key IN (
      SELECT key FROM softfail.record WHERE expires <= now ORDER BY expires LIMIT most FOR UPDATE SKIP LOCKED)
    RETURNING 1)
  SELECT count(*) FROM gone
$$;

CREATE OR REPLACE FUNCTION softfail.check_2(
  now bigint, learn boolean, unblock bigint, seen bigint, insist bigint, block_for bigint, retry bigint,
  keep bigint, white_client bigint, white_domain bigint, the_host text, names text[], keys text[],
  OUT reason text, OUT seconds bigint, OUT entry text)
LANGUAGE plpgsql AS $$
DECLARE
  listed text;
  block softfail.record; client softfail.record; domain softfail.record; triplet softfail.record;
BEGIN
  seconds := 0; entry := '';
  SELECT l.verdict, l.name INTO listed, entry FROM unnest(names) WITH ORDINALITY AS n (name, place)
    JOIN softfail.list l USING (name) ORDER BY n.place LIMIT 1;
  IF listed IS NOT NULL THEN
    reason := CASE listed WHEN 'allow' THEN 'allowed' ELSE 'denied' END;
    RETURN;
  END IF;
  entry := '';

  -- All four keys name the client: whoever holds its lock is alone with them until the transaction ends.
  PERFORM pg_advisory_xact_lock(hashtextextended(keys[2], 0));
  block := softfail.read_1(keys[1], now);
  IF block.expires > now THEN
    block.expires := least(block.expires, now + block_for);
    PERFORM softfail.touch_1(block, now, block.expires);
    reason := 'blocked'; seconds := block.expires - now;
    RETURN;
  END IF;

  client := softfail.read_1(keys[2], now);
  domain := softfail.read_1(keys[3], now);
  IF white_client > 0 AND client.passes >= white_client THEN
    PERFORM softfail.touch_1(client, now, now + keep);
    reason := 'white-client';
    RETURN;
  END IF;
  IF white_domain > 0 AND domain.passes >= white_domain THEN
    PERFORM softfail.touch_1(domain, now, now + keep);
    reason := 'white-domain';
    RETURN;
  END IF;

  triplet := softfail.read_1(keys[4], now);
  IF triplet.passes = 0 AND triplet.first - now > unblock THEN  -- a clock has gone back
    triplet := (keys[4], 0, 0, 0, 0, 0, 0, '');
  END IF;
  IF triplet.tries = 0 THEN
    IF learn THEN
      triplet.host := the_host;
      PERFORM softfail.touch_1(triplet, now, now + retry);
      PERFORM softfail.sweep_1(now, 4);
    END IF;
    reason := 'unknown'; seconds := unblock;
    RETURN;
  END IF;

  IF triplet.passes = 0 AND now - triplet.first < unblock THEN
    triplet.early := CASE WHEN triplet.host = the_host AND now - triplet.last < seen
                     THEN triplet.early + 1 ELSE 0 END;
    triplet.host := the_host;
    IF insist > 0 AND triplet.early > insist THEN
      PERFORM softfail.touch_1(triplet, now, 0);
      PERFORM softfail.touch_1(block, now, now + block_for);
      reason := 'insists'; seconds := block_for;
      RETURN;
    END IF;
    PERFORM softfail.touch_1(triplet, now, triplet.expires);
    reason := 'early'; seconds := triplet.first + unblock - now;
    RETURN;
  END IF;

  reason := CASE triplet.passes WHEN 0 THEN 'ripe' ELSE 'known' END;
  IF triplet.passes = 0 THEN
    seconds := now - triplet.first;
    IF white_client > 0 AND now - client.last >= seen THEN
      client.passes := client.passes + 1;
      PERFORM softfail.touch_1(client, now, now + keep);
    END IF;
    IF white_domain > 0 AND now - domain.last >= seen THEN
      domain.passes := domain.passes + 1;
      PERFORM softfail.touch_1(domain, now, now + keep);
    END IF;
  END IF;
  triplet.host := the_host;
  triplet.passes := triplet.passes + 1;
  PERFORM softfail.touch_1(triplet, now, now + keep);
END $$;
