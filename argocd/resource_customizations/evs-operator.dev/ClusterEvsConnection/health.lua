-- What the operator wrote of an older spec says nothing of this one.
local status = obj.status
if status == nil or status.conditions == nil or status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "Waiting for evs-operator to look at the connection" }
end

local conditions = {}
for _, condition in ipairs(status.conditions) do
  conditions[condition.type] = condition
end

local ready, stalled = conditions.Ready, conditions.Stalled
if ready == nil then
  return { status = "Progressing", message = "Waiting for evs-operator to look at the connection" }
end
if stalled ~= nil and stalled.status == "True" then
  return { status = "Degraded", message = ready.message }
end
if ready.status == "True" then
  return { status = "Healthy", message = ready.message }
end
return { status = "Progressing", message = ready.message }
