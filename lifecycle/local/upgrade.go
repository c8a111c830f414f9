package local

import (
	"context"
	"errors"
	"fmt"

	"github.com/lifepod/lifepod/container/runc"
)

// UpgradeSupervisor has the supervisor of a root go on as the program that Open
// would start one from: o.Supervisor, else a lifepod-supervisor beside this
// program, else this program. Containers, execs and other programs that have the
// root open go on, the process stays the same one, and where none runs there is
// nothing to do. An installer calls it once the new files are in place, before or
// after programs are started again.
//
// What may differ in version: an agent and a supervisor must speak the same
// version of their protocol, which few releases change. Where one does, an agent
// of another release than the supervisor gets [runc.ErrVersion] from all that
// needs a container, and the containers go on; so no Node is needed here, and
// none upgrades by itself: two agents would take turns. An agent of the version
// from before is refused in the same way after the upgrade. The new program must
// know the version of the running one's state; it is asked first, and one that
// does not, as after a step back, is refused while the old one goes on. To get
// past that, stop all pods: the supervisor ends, and the next is the program's
// own.
//
// After an error the running supervisor serves on; see [runc.Runtime.Upgrade].
func UpgradeSupervisor(ctx context.Context, o Options) (err error) {
	if o.CRI != nil {
		return fmt.Errorf("upgrade the supervisor: the containers are %s's, which has none of lifepod's", o.CRI.Name)
	}
	if o.Containers != nil {
		return errors.New("upgrade the supervisor: Options.Containers has one of its own, if any: upgrade it there")
	}
	if _, err := o.complete(); err != nil {
		return err
	}
	rt, err := runc.Open(o.supervised())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rt.Close()) }()
	return rt.Upgrade(ctx)
}

// supervised are the options of the supervisor's side. o is complete.
func (o *Options) supervised() runc.Options {
	return runc.Options{
		Root: o.Root, Run: o.Run, CgroupRoot: o.CgroupRoot, Supervisor: o.Supervisor,
		SupervisorIdle: o.SupervisorIdle, Log: o.Log,
	}
}
