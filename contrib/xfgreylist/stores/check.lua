-- One check, atomically: xfgreylist.policy.decide in Lua. The tests hold the two against each other.
-- KEYS: list block client domain triplet
-- ARGV: now learn unblock seen insist block retry keep white_client white_domain host candidate...
-- Answer: reason seconds entry
local now, learn, unblock, seen, insist, block_for, retry, keep, white_client, white_domain =
  tonumber(ARGV[1]), ARGV[2] == '1', tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]),
  tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local host = ARGV[11]

local function none(key)
  return {key = key, first = 0, last = 0, tries = 0, early = 0, passes = 0, expires = 0, host = ''}
end

local function read(key)
  local v = redis.call('HMGET', key, 'first', 'last', 'tries', 'early', 'passes', 'expires', 'host')
  if (tonumber(v[6]) or 0) <= now then return none(key) end
  return {key = key, first = tonumber(v[1]), last = tonumber(v[2]), tries = tonumber(v[3]),
          early = tonumber(v[4]), passes = tonumber(v[5]), expires = tonumber(v[6]), host = v[7]}
end

local function write(r)
  if r.expires <= now then return redis.call('DEL', r.key) end
  redis.call('HSET', r.key, 'first', r.first, 'last', r.last, 'tries', r.tries, 'early', r.early,
             'passes', r.passes, 'expires', r.expires, 'host', r.host)
  redis.call('EXPIRE', r.key, r.expires - now)
end

local function touch(r, expires)
  if r.first == 0 then r.first = now end
  r.last, r.expires, r.tries = now, expires, r.tries + 1
  write(r)
end

local names = {unpack(ARGV, 12)}
if #names > 0 then
  for i, found in ipairs(redis.call('HMGET', KEYS[1], unpack(names))) do
    if found then return {string.sub(found, 1, 5) == 'allow' and 'allowed' or 'denied', 0, names[i]} end
  end
end

local block = read(KEYS[2])
if block.expires > now then
  touch(block, math.min(block.expires, now + block_for))
  return {'blocked', block.expires - now, ''}
end

local client, domain = read(KEYS[3]), read(KEYS[4])
if white_client > 0 and client.passes >= white_client then
  touch(client, now + keep)
  return {'white-client', 0, ''}
end
if white_domain > 0 and domain.passes >= white_domain then
  touch(domain, now + keep)
  return {'white-domain', 0, ''}
end

local triplet = read(KEYS[5])
if triplet.passes == 0 and triplet.first - now > unblock then triplet = none(KEYS[5]) end -- a clock has gone back
if triplet.tries == 0 then
  if learn then
    triplet.host = host
    touch(triplet, now + retry)
  end
  return {'unknown', unblock, ''}
end

if triplet.passes == 0 and now - triplet.first < unblock then
  local hurried = triplet.host == host and now - triplet.last < seen
  triplet.early = hurried and triplet.early + 1 or 0
  triplet.host = host
  if insist > 0 and triplet.early > insist then
    touch(triplet, 0)
    touch(block, now + block_for)
    return {'insists', block_for, ''}
  end
  touch(triplet, triplet.expires)
  return {'early', triplet.first + unblock - now, ''}
end

local ripe = triplet.passes == 0
if ripe then
  for _, pair in ipairs({{client, white_client}, {domain, white_domain}}) do
    local record, enough = pair[1], pair[2]
    if enough > 0 and now - record.last >= seen then
      record.passes = record.passes + 1
      touch(record, now + keep)
    end
  end
end
triplet.host = host
triplet.passes = triplet.passes + 1
touch(triplet, now + keep)
return {ripe and 'ripe' or 'known', ripe and now - triplet.first or 0, ''}
