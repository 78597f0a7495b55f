-- One report for one grant: `_sansio/sharing/rule.py`, function by function. The numbers (capital letters) come before.
-- KEYS: the limit, its members (hashes). ARGV: who, kind, amount, period, want, held, accepted, refused, gates: "" or
-- "*" and "gate passed refused" of each.
local who, kind = ARGV[1], ARGV[2]
local amount, period, want, held = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local accepted, refused = tonumber(ARGV[7]), tonumber(ARGV[8])
local is_of_key = ARGV[9] ~= ''
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local LONG_AGO = -1e9

-- What is kept: words, and numbers with what they begin with.
local WORDS = {'kind', 'scout', 'gates'}
local NUMBERS = {
    'limit', 'period', 'changed', 'seen', 'phase', 'passed', 'average', 'now_refused', 'now_accepted', 'long_refused',
    'long_accepted', 'got', 'row', 'peak', 'noise', 'tested', 'excess', 'cuts', 'lost', 'scouts', 'is_exact', 'is_clear',
    'gathers', 'busy', 'apart', 'beside', 'is_taken', 'height', 'own',
}
local LEAST_OF = {tested = LONG_AGO, lost = LONG_AGO, apart = LONG_AGO, own = LONG_AGO}
local TIMES = {'changed', 'seen', 'passed', 'tested', 'lost', 'scouts', 'gathers', 'busy', 'apart', 'own'}
local kept = {gates = {}}

-- Whoever can write here can write anything: what can be none is as if it were not there.
local function drop_others(key)
    local type = redis.call('TYPE', key).ok
    if type ~= 'hash' and type ~= 'none' then redis.call('DEL', key) end
end

local function can_be(number, least) return number ~= nil and number >= least and number <= 1e12 end  -- not NaN

local function is_limit(what, limit)
    return what == '' or ((what == 'rate' or what == 'under way') and can_be(limit, LEAST) and limit <= MOST)
end

local function read_limit()
    drop_others(KEYS[1])
    local words = redis.call('HMGET', KEYS[1], unpack(WORDS))
    local known = true
    for i, value in ipairs(redis.call('HMGET', KEYS[1], unpack(NUMBERS))) do
        local name = NUMBERS[i]
        kept[name] = tonumber(value or '')
        known = known and can_be(kept[name], LEAST_OF[name] or 0)
    end
    kept.kind, kept.scout = words[1] or '', words[2] or ''
    for gate, p, r in string.gmatch(words[3] or '', '(%x+) (%d+) (%d+)') do
        kept.gates[gate] = {passed = tonumber(p), refused = tonumber(r)}
    end
    if known and is_limit(kept.kind, kept.limit) then return end
    kept.kind, kept.scout, kept.gates = '', '', {}
    for _, name in ipairs(NUMBERS) do kept[name] = LEAST_OF[name] or 0 end
end

-- The members: "want got held until amount kind" each.
local members, names = {}, {}

local function is_ahead()
    for _, name in ipairs(TIMES) do
        if kept[name] > now + LEASE then return true end
    end
    return false
end

local function set_clock()
    kept.changed, kept.seen, kept.passed, kept.scouts, kept.busy = now, now, now, now, now
    kept.lost, kept.tested, kept.apart, kept.own, kept.gathers = LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO, 0
    redis.call('DEL', KEYS[2])
end

local function read_member(text)
    local w, g, h, u, a, k = string.match(text, '^(%S+) (%S+) (%S+) (%S+) (%S+) (.*)$')
    local member = {want = tonumber(w), got = tonumber(g), held = tonumber(h), amount = tonumber(a), kind = k}
    for _, name in ipairs({'want', 'got', 'held', 'amount'}) do
        if not can_be(member[name], 0) then return nil end
    end
    local ends = tonumber(u)
    if not can_be(ends, now) or ends > now + LEASE then return nil end
    return member
end

local function read_members()
    drop_others(KEYS[2])
    local all = redis.call('HGETALL', KEYS[2])
    for i = 1, #all, 2 do
        members[all[i]] = read_member(all[i + 1])
        if not members[all[i]] then redis.call('HDEL', KEYS[2], all[i]) end
    end
    local mine = members[who]
    members[who] = {want = want, got = mine and mine.got or 0, held = held, amount = amount, kind = kind}
    for name in pairs(members) do names[#names + 1] = name end
    table.sort(names)
end

local function held_beside(whom)
    local sum = 0
    for name, member in pairs(members) do if name ~= whom then sum = sum + member.held end end
    return sum
end

local function held_by_others()
    return held_beside(who)
end

local function passes()
    return kept.average / (1 - math.exp(-math.max(now - kept.changed, EVERY) / MEMORY))
end

local function begin(found, what, seconds)
    kept.average = math.min(found, passes())
    kept.kind, kept.limit, kept.period = what, math.min(math.max(found, LEAST), MOST), seconds
    kept.scout, kept.gathers = '', 0
    kept.changed, kept.seen, kept.passed = now, now, now
    kept.got, kept.peak = 0, what == 'under way' and found or 0
    kept.now_refused, kept.now_accepted, kept.long_refused, kept.long_accepted = 0, 0, 0, 0
    kept.noise, kept.excess, kept.row, kept.cuts = 0, 0, 0, 0
    kept.is_exact = (seconds > 0 or (what == 'under way' and kept.is_clear == 1 and kept.beside == 0)) and 1 or 0
end

local function scout()
    kept.kind, kept.scout, kept.scouts, kept.is_clear = '', who, now, 0
    kept.busy, kept.beside, kept.got = now, held_by_others(), 0
    return 'scout', 0
end

local function heir()
    for _, name in ipairs(names) do
        if name ~= who and members[name].want > 0 then return name end
    end
    return nil
end

local function begin_with(took)
    if amount > EVERY or (amount == 0 and held > 0) then
        begin(held + held_by_others(), 'under way', 0)
    else
        begin(math.max(1, kept.got / math.max(took, EVERY)), 'rate', 0)
    end
    kept.is_exact = 0
end

local function scouted()
    local took, others = now - kept.scouts, held_by_others()
    kept.got = kept.got + accepted
    if kept.is_clear == 0 and others == 0 then
        kept.is_clear = 1
        if took > SOON then
            kept.beside = 0
            return 'anew', 0
        end
    end
    if kind == 'under way' or (kind == 'rate' and (kept.is_clear == 1 or took > LONG)) then
        local found = amount + (kind == 'under way' and kept.beside or 0)
        if kind == 'rate' and kept.average > 0 then found = math.min(found, BURST * passes()) end
        begin(found, kind, period * amount / found)
        return nil
    end
    if kind == 'open' then
        begin_with(took)
        return nil
    end
    if want > 0 or held > 0 then kept.busy = now end
    local idle = now - kept.busy > SOON
    local next_one = idle and heir()
    if next_one then
        kept.scout, kept.scouts, kept.busy, kept.got, kept.is_clear = next_one, now, now, 0, 0
        return 'wait', 0
    end
    if idle then
        kept.scout, kept.apart, kept.is_clear = '', now, 0
        return 'open', 0
    end
    return 'scout', 0
end

local function gather()
    if kept.gathers == 0 then kept.gathers = now end
    local known, searching = 0, false
    for _, name in ipairs(names) do
        if members[name].kind == kind then known = known + members[name].amount end
        if members[name].kind == 'searching' then searching = true end
    end
    if now - kept.gathers < (searching and PATIENCE or GATHER) then return 'open', 0 end
    begin(math.max(known, kind == 'rate' and kept.average or 0), kind, period)
    if searching then kept.is_exact = 0 end
    return nil
end

local function guess()
    local all = held + held_by_others()
    local what = all > kept.average and 'under way' or 'rate'
    begin(math.max(what == 'under way' and all or kept.average, 0.1), what, 0)
    return nil
end

local function find()
    if kept.seen == 0 then kept.changed = now end
    local passed = math.min(math.max(now - kept.seen, 0), MEMORY)
    kept.average = kept.average * math.exp(-passed / MEMORY) + accepted / MEMORY
    kept.seen = now
    if kept.scout ~= '' and not members[kept.scout] then kept.scout = '' end
    if now - kept.gathers > 2 * PATIENCE then kept.gathers = 0 end
    if kept.scout == who then return scouted() end
    if kept.scout ~= '' then
        kept.beside = math.max(kept.beside, held_beside(kept.scout))
        return 'wait', 0
    end
    if kind == 'rate' or kind == 'under way' then return gather() end
    if kind == 'searching' and kept.gathers == 0 then
        if now - kept.apart > LONG then return scout() end
        if now - kept.apart > PATIENCE then return guess() end
    end
    return 'open', 0
end

local function let_go()
    kept.kind, kept.scout, kept.gates = '', '', {}
    kept.is_taken, kept.height, kept.gathers, kept.apart = 0, 0, 0, LONG_AGO
end

local function sum_of_gates()
    local passed, gates_refused, often = 0, 0, 0
    for _, gate in pairs(kept.gates) do
        passed = passed + gate.passed
        if gate.refused > 0 then gates_refused = gates_refused + 1 end
        if gate.refused >= EACH then often = often + 1 end
    end
    return passed, gates_refused, often
end

local function count_gates()
    for gate, p, r in string.gmatch(ARGV[9], '(%x+) (%d+) (%d+)') do
        local before = kept.gates[gate] or {passed = 0, refused = 0}
        kept.gates[gate] = {passed = before.passed + tonumber(p), refused = before.refused + tonumber(r)}
    end
    local passed, gates_refused = sum_of_gates()
    local is_looked_for = kept.is_taken == 1 and kept.kind == ''
    if is_looked_for or (kept.is_taken == 1 and gates_refused > 1) or passed > ANSWERS then kept.gates = {} end
end

local function is_together()
    local _, _, often = sum_of_gates()
    return kept.height >= BELIEVED and often > 1
end

local function is_ones_own()
    local everybody = math.max(1, (sum_of_gates()))
    for _, gate in pairs(kept.gates) do
        local own = gate.refused * math.log(everybody / math.max(gate.passed, 1))
        if gate.refused > 0 and own >= CERTAINTY then return true end
    end
    return false
end

local function is_whole()
    count_gates()
    if kept.is_taken == 1 then
        if is_ones_own() then
            let_go()
            kept.own = now
        end
    else
        kept.height = math.max(0, kept.height - accepted) + refused
        if kept.height == 0 then kept.gates = {} end
        if now - kept.own > LONG and (kind ~= 'open' or is_together()) then
            let_go()
            kept.is_taken = 1
        end
    end
    return kept.is_taken == 1
end

local function given()
    if kept.kind ~= 'rate' then return math.max(1, math.floor(kept.limit + 1e-9)) end
    local total = kept.now_refused + kept.now_accepted
    local share = total > 0 and math.max(0, (kept.now_refused - 1.5) / total - kept.noise) or 0
    return kept.limit * math.max(0.1, 1 - share)
end

local function count(passed)
    local fades, long = math.exp(-passed), math.exp(-passed / math.max(2, kept.period))
    kept.now_refused, kept.now_accepted = kept.now_refused * fades + refused, kept.now_accepted * fades + accepted
    kept.long_refused, kept.long_accepted = kept.long_refused * long + refused, kept.long_accepted * long + accepted
    local memory = math.max(MEMORY, kept.period)
    kept.average = kept.average * math.exp(-passed / memory) + accepted / memory
    kept.got = kept.got + accepted
    if accepted > 0 then kept.passed, kept.row = now, 0 end
    kept.row = kept.row + refused
end

local function is_lost(level)
    local nothing = kept.row >= IN_A_ROW and now - kept.passed > math.max(SLOWEST, 1.5 * kept.period)
    return nothing and (kept.kind == 'rate' or level < 0.5 * kept.limit)
end

local function lose()
    local how = now - kept.lost > LONG and 'again' or 'anew'
    kept.lost = now
    scout()
    return how, kept.limit
end

local function learn_noise(share, judged)
    local weight = math.min(1, judged / math.max(80, 4 * kept.average))
    kept.noise = math.min(NOISE_MOST, kept.noise + (share - kept.noise) * weight)
    if kept.noise > NOISY and now - kept.tested > LONG then
        kept.limit, kept.tested = TEST * kept.limit, now
    elseif kept.noise < QUIET and now - kept.tested < 0.3 * LONG then
        kept.peak = kept.limit
    end
end

local function is_judged()
    if kept.kind == 'rate' then return kept.row == 0 end
    return refused > 0
end

local function growth()
    if kept.cuts == 0 and kept.is_exact == 0 then
        return math.min(2 * FASTEST, FASTEST * 2 ^ ((now - kept.changed) / SLOWEST))
    end
    local most = kept.period > 0 and WINDOWS / kept.period or FASTEST
    if kept.cuts == 0 and kept.period > 0 then return most end
    local calls = CALLS / math.max(kept.average, 0.01)
    local pace = math.max(SLOWEST, kept.period, math.min(kept.kind == 'rate' and SLOW or 3 * LONG, calls))
    if kept.kind == 'rate' and (kept.peak == 0 or kept.limit < LOW * kept.peak) then
        pace = math.max(SLOWEST, kept.period)
    end
    local quiet = (now - kept.changed) / pace - 0.5
    if quiet <= 0 then return 0 end
    local first = kept.kind == 'rate' and GROWTH or math.max(GROWTH, 0.5 / kept.limit)
    return math.min(most, first / pace * 2 ^ math.min(quiet, 32))
end

local function cut_rate()
    local took = now - kept.changed
    local share = (kept.long_refused - 2) / (kept.long_accepted + kept.long_refused) - kept.noise
    local lower = kept.limit * (1 - math.min(0.5, math.max(CUT, share)))
    local is_long = took > 1.5 * math.max(SLOWEST, kept.period)
    if kept.got >= MEASURED then
        local measured = kept.got / took
        lower = math.min(lower, math.max(1.02 * measured, 0.7 * kept.limit))
        if is_long or kept.cuts > 0 or kept.got >= CALLS then kept.peak = math.max(measured, FADES * kept.peak) end
    else
        lower = math.min(lower, math.max(1.1 * kept.average, 0.7 * kept.limit))
    end
    if kept.got < MEASURED or not is_long then
        lower = math.max(lower, math.min(kept.limit, STILL * kept.average))
    end
    if kept.cuts == 0 and kept.now_accepted >= MEASURED then
        lower = math.max(lower, math.min(kept.now_accepted, (1 - CUT) * kept.limit))
    end
    kept.limit = math.max(lower, 0.02)
end

local function lower_places(level)
    local less = math.floor(kept.limit) - 1
    local again = now - kept.changed < 2 * SLOWEST
    return again and math.min(less, math.max(level, math.floor(0.7 * kept.limit))) or less
end

local function cut(level)
    if kept.kind == 'under way' then
        if level + 1 < 0.8 * kept.limit and kept.row < 3 then return end
        kept.peak = kept.cuts > 0 and math.max(level, FADES * kept.peak) or level
        kept.limit = math.max(1, lower_places(level))
    else
        cut_rate()
    end
    kept.changed, kept.excess, kept.got, kept.cuts = now, 0, 0, kept.cuts + 1
    if kept.kind == 'under way' and kept.limit < GONE * kept.peak then begin(kept.average, 'rate', 0) end
end

local function adjust()
    local passed = math.min(math.max(now - kept.seen, 0), 1)
    kept.seen = now
    kept.phase = (kept.phase + given() * passed) % 1e6
    count(passed)
    local level = held + held_by_others()
    if is_lost(level) then return lose() end
    local judged, known = accepted + refused, now - kept.changed > KNOWN_AFTER
    if known and kept.limit < LOW * kept.peak and judged > 0 and kept.row < ALL then
        learn_noise(refused / judged, judged)
    end
    if known then
        kept.excess = math.max(0, kept.excess + refused - math.max(LEAST_NOISE, 2 * kept.noise) * judged)
    end
    local believed = (kept.noise > QUIET or kept.average > FAST) and 4 or 2
    if is_judged() and kept.excess >= believed then
        if now - kept.changed > math.max(1, 0.9 * kept.period) then cut(level) end
    elseif kept.excess < 1 then
        local wanted = 0
        for _, member in pairs(members) do wanted = wanted + member.want end
        if wanted > kept.limit then kept.limit = math.min(kept.limit * (1 + growth() * passed), MOST) end
    end
    return nil
end

local function divide()
    local order = {}
    for _, name in ipairs(names) do order[#order + 1] = name end
    table.sort(order, function(a, b)
        local x, y = members[a].want, members[b].want
        if x ~= y then return x < y end
        return a < b
    end)
    local whole, all = kept.kind ~= 'rate', given()
    local turn = (whole and all < #order) and math.floor(now) % #order or 0
    local left, part = all, 0
    for i = 0, #order - 1 do
        local name = order[(i + turn) % #order + 1]
        local take = math.min(members[name].want, left / (#order - i))
        if whole then take = math.floor(take) end
        left = left - take
        if name == who then part = take end
    end
    part = part + (whole and math.floor(left / #order) or left / #order)
    if whole then
        local taken = 0
        for name, member in pairs(members) do
            if name ~= who then taken = taken + math.max(member.got, member.held) end
        end
        part = math.max(0, math.min(part, all - taken))
    end
    return part
end

local function exchange()
    read_limit()
    if is_ahead() then set_clock() end
    read_members()
    if is_of_key then
        if not is_whole() then return 'open', 0, 0 end
        if kind == 'open' and kept.scout ~= who then kind = 'searching' end
    end
    if kept.kind == '' then
        local was_scout = kept.scout == who
        local how, much = find()
        if how and was_scout and how == 'open' and is_of_key then let_go() end
        if how then return how, much, 0 end
    end
    local how, much = adjust()
    if how then return how, much, 0 end
    local part = divide()
    members[who].got = part
    for i, name in ipairs(names) do
        if name == who then return kept.kind, part, (kept.phase - (i - 1)) % #names / #names end
    end
end

local function written(number) return string.format('%.17g', number) end

local granted, part, turn = exchange()
local gates = {}
for gate, of_it in pairs(kept.gates) do
    gates[#gates + 1] = string.format('%s %d %d', gate, of_it.passed, of_it.refused)
end
local fields = {'kind', kept.kind, 'scout', kept.scout, 'gates', table.concat(gates, ' ')}
for _, name in ipairs(NUMBERS) do
    fields[#fields + 1] = name
    fields[#fields + 1] = written(kept[name])
end
redis.call('HSET', KEYS[1], unpack(fields))
local me = members[who]  -- its kind as it said
local mine = {written(want), written(me.got), written(held), written(now + LEASE), written(amount), me.kind}
redis.call('HSET', KEYS[2], who, table.concat(mine, ' '))
redis.call('EXPIRE', KEYS[1], 600)
redis.call('EXPIRE', KEYS[2], 60)
return {granted, written(part), written(turn)}
