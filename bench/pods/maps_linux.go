package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// maps prints where a process's memory lies: its mappings of 64 KiB PSS and more.
func maps(pid int) error {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil {
		return err
	}
	fmt.Println("| pss KiB | anonymous | size | rights | what |\n|---|---|---|---|---|")
	var head []string
	kib := map[string]int{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if !strings.HasSuffix(f[0], ":") {
			head, kib = append(f, "-"), map[string]int{}
		} else if len(f) == 3 {
			kib[f[0]], _ = strconv.Atoi(f[1])
		}
		if f[0] == "VmFlags:" && kib["Pss:"] >= 64 {
			fmt.Printf("| %d | %d | %d | %s | %s |\n", kib["Pss:"], kib["Anonymous:"], kib["Size:"], head[1], head[5])
		}
	}
	return nil
}
