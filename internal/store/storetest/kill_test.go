package storetest_test

const childURL = "GATEHOUSE_TEST_CHILD_STORE"

func child() int { return 0 }
