package cri_test

func agent(string) int { return 1 }
