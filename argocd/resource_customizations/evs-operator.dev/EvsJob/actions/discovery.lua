local ended = false
if obj.status ~= nil and obj.status.conditions ~= nil then
  for _, condition in ipairs(obj.status.conditions) do
    if (condition.type == "Complete" or condition.type == "Failed") and condition.status == "True" then
      ended = true
    end
  end
end

local suspended = obj.spec.suspend == true

local actions = {}
actions["reconcile"] = { ["disabled"] = suspended, ["iconClass"] = "fa fa-fw fa-refresh", ["displayName"] = "Poll now" }
actions["suspend"] = { ["disabled"] = suspended or ended, ["iconClass"] = "fa fa-fw fa-pause" }
actions["resume"] = { ["disabled"] = not suspended, ["iconClass"] = "fa fa-fw fa-play" }
return actions
