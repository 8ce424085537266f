// Command argolua runs Lua scripts the way Argo CD runs resource customizations: the same interpreter, the same few
// libraries, the same second of time.
//
// {"script", "object", "openLibs"} per line comes in, {"result"} or {"error"} per line goes out, until the input ends.
// Argo CD opens all of Lua's libraries for the scripts that it ships, and for those of its configuration only package,
// base and table, with os.time and os.date behind require("os") (util/lua/lua.go there). openLibs chooses.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log"
	"os"
	"time"

	lua "github.com/yuin/gopher-lua"
	luajson "layeh.com/gopher-json"
)

type request struct {
	Script   string `json:"script"`
	Object   any    `json:"object"`
	OpenLibs bool   `json:"openLibs"`
}

type answer struct {
	Result json.RawMessage `json:"result,omitempty"`
	Error  string          `json:"error,omitempty"`
}

func main() {
	in, out := bufio.NewReader(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			return
		}
		if err != nil {
			log.Fatal(err)
		}
		result, err := run(line)
		said := answer{Result: result}
		if err != nil {
			said = answer{Error: err.Error()}
		}
		if err := out.Encode(said); err != nil {
			log.Fatal(err)
		}
	}
}

func run(line []byte) ([]byte, error) {
	var asked request
	if err := json.Unmarshal(line, &asked); err != nil {
		return nil, err
	}
	state := lua.NewState(lua.Options{SkipOpenLibs: !asked.OpenLibs})
	defer state.Close()
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{{lua.LoadLibName, lua.OpenPackage}, {lua.BaseLibName, lua.OpenBase}, {lua.TabLibName, lua.OpenTable}} {
		opener := lua.P{Fn: state.NewFunction(library.open), Protect: true}
		if err := state.CallByParam(opener, lua.LString(library.name)); err != nil {
			return nil, err
		}
	}
	state.PreloadModule(lua.OsLibName, timeOnly)
	limit, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	state.SetContext(limit)
	state.SetGlobal("obj", luajson.DecodeValue(state, asked.Object))
	state.SetGlobal("actionParams", state.NewTable())
	if err := state.DoString(asked.Script); err != nil {
		return nil, err
	}
	return luajson.Encode(state.Get(-1))
}

// timeOnly gives what Argo CD leaves of Lua's os library.
func timeOnly(state *lua.LState) int {
	state.Push(state.NewFunction(lua.OpenOs))
	state.Call(0, 1)
	whole := state.CheckTable(-1)
	state.SetGlobal(lua.OsLibName, lua.LNil)
	rest := state.NewTable()
	for _, name := range []string{"time", "date"} {
		rest.RawSetString(name, whole.RawGetString(name))
	}
	state.Push(rest)
	return 1
}
