package verify

import "math/big"

// rocaPrimes are the primes that divide the M of CVE-2017-15361 for keys of all
// sizes, 2 left out.
var rocaPrimes = [...]uint64{
	3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
}

// isROCA reports whether an RSA modulus has the fingerprint of the faulty
// generator of Infineon chips, whose keys can be factored: its primes are
// k*M + 65537^a mod M, so for each prime p of M the modulus is a power of
// 65537 mod p. A sound key has that by chance once in about 2^27.
func isROCA(n *big.Int) bool {
	var rest big.Int
	for _, p := range rocaPrimes {
		r := rest.Mod(n, new(big.Int).SetUint64(p)).Uint64()
		if !isPower(r, p) {
			return false
		}
	}
	return true
}

// isPower reports whether r is a power of 65537 mod p.
func isPower(r, p uint64) bool {
	for x := uint64(1); ; {
		if x == r {
			return true
		}
		if x = x * 65537 % p; x == 1 {
			return false
		}
	}
}
