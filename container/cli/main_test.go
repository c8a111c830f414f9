package cli_test

import _ "github.com/lifepod/lifepod/container/runc/reexec" // the tests' own binary is the supervisor
