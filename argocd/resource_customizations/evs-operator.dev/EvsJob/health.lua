-- What the operator wrote of an older spec, for example of another jobId, says nothing of this one.
local status = obj.status
if status == nil or status.conditions == nil or status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "Waiting for evs-operator to look at the job" }
end

local conditions = {}
for _, condition in ipairs(status.conditions) do
  conditions[condition.type] = condition
end

local function is_true(type)
  return conditions[type] ~= nil and conditions[type].status == "True"
end

local message = "Waiting for evs-operator to look at the job"
if conditions.Ready ~= nil then
  message = conditions.Ready.message
end

if is_true("Failed") or is_true("Stalled") then
  return { status = "Degraded", message = message }
end
if is_true("Complete") then
  return { status = "Healthy", message = message }
end
if is_true("Suspended") then
  -- A sync waits for each object of a wave and for each hook until it is Healthy or Degraded. Suspended is neither,
  -- and would hang it for ever.
  local annotations = obj.metadata.annotations or {}
  if annotations["argocd.argoproj.io/sync-wave"] ~= nil or annotations["argocd.argoproj.io/hook"] ~= nil then
    return { status = "Healthy", message = message }
  end
  return { status = "Suspended", message = message }
end
return { status = "Progressing", message = message }
