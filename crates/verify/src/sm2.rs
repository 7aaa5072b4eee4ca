//! SM2 signatures (GB/T 32918.2, on the curve of GB/T 32918.5) with SM3, verified in variable time: everything here is public.
//!
//! The field and the scalars are RustCrypto's; what is done with them is not, because its own verification is as slow as constant time demands.
//! Points are in Jacobian coordinates (X, Y, Z) with x = X/Z², y = Y/Z³; Z = 0 is the point at infinity. Both products of a verification
//! share their doublings, digits are in width-w non-adjacent form, and the comparison at the end needs no inversion.

use sm2::elliptic_curve::ff::PrimeField;
use sm2::elliptic_curve::hazmat::FieldArithmetic;
use sm2::elliptic_curve::ops::{BatchInvert, Reduce};
use sm2::elliptic_curve::point::AffineCoordinates;
use sm2::elliptic_curve::sec1::{FromSec1Point, Sec1Point};
use sm2::{AffinePoint, FieldBytes, ProjectivePoint, Scalar, Sm2};
use sm3::{Digest, Sm3};
use std::fmt;
use std::sync::LazyLock;

type FieldElement = <Sm2 as FieldArithmetic>::FieldElement;

/// The parameters that every signer's identity is hashed with (GB/T 32918.5, 2): a, b and the base point, big-endian.
#[rustfmt::skip]
const PARAMETERS: [u8; 128] = [
    0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfc,
    0x28, 0xe9, 0xfa, 0x9e, 0x9d, 0x9f, 0x5e, 0x34, 0x4d, 0x5a, 0x9e, 0x4b, 0xcf, 0x65, 0x09, 0xa7,
    0xf3, 0x97, 0x89, 0xf5, 0x15, 0xab, 0x8f, 0x92, 0xdd, 0xbc, 0xbd, 0x41, 0x4d, 0x94, 0x0e, 0x93,
    0x32, 0xc4, 0xae, 0x2c, 0x1f, 0x19, 0x81, 0x19, 0x5f, 0x99, 0x04, 0x46, 0x6a, 0x39, 0xc9, 0x94,
    0x8f, 0xe3, 0x0b, 0xbf, 0xf2, 0x66, 0x0b, 0xe1, 0x71, 0x5a, 0x45, 0x89, 0x33, 0x4c, 0x74, 0xc7,
    0xbc, 0x37, 0x36, 0xa2, 0xf4, 0xf6, 0x77, 0x9c, 0x59, 0xbd, 0xce, 0xe3, 0x6b, 0x69, 0x21, 0x53,
    0xd0, 0xa9, 0x87, 0x7c, 0xc6, 0x2a, 0x47, 0x40, 0x02, 0xdf, 0x32, 0xe5, 0x21, 0x39, 0xf0, 0xa0,
];

/// The order n of the base point, big-endian (GB/T 32918.5, 2).
#[rustfmt::skip]
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0x72, 0x03, 0xdf, 0x6b, 0x21, 0xc6, 0x05, 0x2b, 0x53, 0xbb, 0xf4, 0x09, 0x39, 0xd5, 0x41, 0x23,
];

/// Width of the digits of the base point's factor; its table is made once.
const BASE_WIDTH: usize = 8;
/// Width of the digits of the key's factor.
const KEY_WIDTH: usize = 5;

/// Odd multiples of the base point.
static BASE: LazyLock<Vec<Affine>> = LazyLock::new(|| {
    Affine::of(&ProjectivePoint::GENERATOR.to_affine()).map_or_else(Vec::new, |base| odd_multiples(&base, BASE_WIDTH))
});

/// SM3 over the parts in a row.
pub(crate) fn sm3(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sm3::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// A signer's key with the user id under which it signs, ready to verify many signatures.
pub(crate) struct Key {
    /// ZA (GB/T 32918.2, 5.5).
    identity: [u8; 32],
    /// Odd multiples of the key's point.
    multiples: Vec<Affine>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(SM2)")
    }
}

impl Key {
    /// The key with these big-endian coordinates; `None` when they are no point of the curve, or the id is over 8191 bytes.
    pub(crate) fn new(x: &[u8; 32], y: &[u8; 32], user_id: &[u8]) -> Option<Self> {
        let bits = u16::try_from(user_id.len().checked_mul(8)?).ok()?;
        let point = Sec1Point::<Sm2>::from_affine_coordinates(&(*x).into(), &(*y).into(), false);
        let point = Option::<AffinePoint>::from(AffinePoint::from_sec1_point(&point))?;
        let identity = sm3(&[&bits.to_be_bytes(), user_id, &PARAMETERS, x, y]);
        Some(Self { identity, multiples: odd_multiples(&Affine::of(&point)?, KEY_WIDTH) })
    }

    /// Whether this key signed the message: (r, s), both big-endian (GB/T 32918.2, 7.1).
    pub(crate) fn verify(&self, message: &[u8], r: &[u8; 32], s: &[u8; 32]) -> bool {
        self.check(&sm3(&[&self.identity, message]), r, s).is_some()
    }

    /// B1 to B7 of the standard; `Some` when the signature holds.
    fn check(&self, digest: &[u8; 32], r: &[u8; 32], s: &[u8; 32]) -> Option<()> {
        let (r, s) = (non_zero(r)?, non_zero(s)?);
        let e = Scalar::reduce(&FieldBytes::from(*digest));
        let t = r.add(&s);
        if bool::from(t.is_zero()) {
            return None;
        }
        let sum = sum_of_products(&s, &BASE, &t, &self.multiples);
        sum.has_x(&r.sub(&e)).then_some(())
    }
}

/// A number of 1 to n - 1.
fn non_zero(bytes: &[u8; 32]) -> Option<Scalar> {
    Option::<Scalar>::from(Scalar::from_repr((*bytes).into())).filter(|scalar| !bool::from(scalar.is_zero()))
}

/// \[a\]G + \[b\]P, from tables of odd multiples of the points.
fn sum_of_products(a: &Scalar, of_g: &[Affine], b: &Scalar, of_p: &[Affine]) -> Jacobian {
    let (a, b) = (digits(a, BASE_WIDTH), digits(b, KEY_WIDTH));
    a.iter()
        .zip(&b)
        .rev()
        .fold(Jacobian::INFINITY, |sum, (a, b)| sum.double().add_multiple(*a, of_g).add_multiple(*b, of_p))
}

/// The scalar in non-adjacent form of width `width`: digits are zero or odd and below 2^(width-1) in magnitude, least significant first.
fn digits(scalar: &Scalar, width: usize) -> [i16; 257] {
    let bytes: [u8; 32] = scalar.to_repr().into();
    let mut digits = [0; 257];
    let (mut place, mut carry) = (0usize, 0);
    while let Some(digit) = digits.get_mut(place) {
        if bits(&bytes, place, 1) == carry {
            place = place.saturating_add(1);
            continue;
        }
        let window = bits(&bytes, place, width).wrapping_add(carry);
        carry = window.wrapping_shr(u32::try_from(width).unwrap_or(1).wrapping_sub(1)) & 1;
        // The window is odd; from 2^(width-1) on it stands for what is missing to 2^width, which the carry adds.
        *digit =
            if carry == 1 { window.wrapping_sub(1i16.wrapping_shl(u32::try_from(width).unwrap_or(1))) } else { window };
        place = place.saturating_add(width);
    }
    digits
}

/// `count` bits (at most 8) of a big-endian number from the bit `from` upwards; beyond its end they are zero.
fn bits(bytes: &[u8; 32], from: usize, count: usize) -> i16 {
    let byte = |index: usize| 31usize.checked_sub(index).and_then(|at| bytes.get(at)).copied().map_or(0, i16::from);
    let index = from >> 3;
    let both = byte(index) | byte(index.saturating_add(1)).wrapping_shl(8);
    let shift = u32::try_from(from & 7).unwrap_or(0);
    let mask = 1i16.wrapping_shl(u32::try_from(count).unwrap_or(0)).wrapping_sub(1);
    // The sign bit may be set: what it drags in is masked away, as count and shift together are at most 15.
    both.wrapping_shr(shift) & mask
}

/// A point of the curve that is not at infinity.
#[derive(Clone, Copy)]
struct Affine {
    x: FieldElement,
    y: FieldElement,
}

/// A point in Jacobian coordinates.
#[derive(Clone, Copy)]
struct Jacobian {
    x: FieldElement,
    y: FieldElement,
    z: FieldElement,
}

impl Affine {
    fn of(point: &AffinePoint) -> Option<Self> {
        let coordinate = |bytes| Option::<FieldElement>::from(FieldElement::from_repr(bytes));
        Some(Self { x: coordinate(point.x())?, y: coordinate(point.y())? })
    }

    const fn negated(&self) -> Self {
        Self { x: self.x, y: self.y.neg() }
    }

    const fn jacobian(&self) -> Jacobian {
        Jacobian { x: self.x, y: self.y, z: FieldElement::ONE }
    }
}

/// P, 3P, 5P and so on, as many as digits of this width need.
fn odd_multiples(point: &Affine, width: usize) -> Vec<Affine> {
    let count = 1usize.wrapping_shl(u32::try_from(width.saturating_sub(2)).unwrap_or(0));
    let Some(twice) = point.jacobian().double().affine() else { return Vec::new() };
    let multiples = std::iter::successors(Some(point.jacobian()), |last| Some(last.add(&twice)));
    let multiples: Vec<_> = multiples.take(count).collect();
    // One inversion for all of them; none is zero, because the group's order is a prime far above the multiples.
    let mut inverses: Vec<_> = multiples.iter().map(|multiple| multiple.z).collect();
    let mut scratch = inverses.clone();
    FieldElement::batch_invert_in_place(&mut inverses, &mut scratch);
    multiples.iter().zip(&inverses).map(|(multiple, inverse)| multiple.over(inverse)).collect()
}

impl Jacobian {
    const INFINITY: Self = Self { x: FieldElement::ONE, y: FieldElement::ONE, z: FieldElement::ZERO };

    fn is_infinity(&self) -> bool {
        bool::from(self.z.is_zero())
    }

    /// `None` for the point at infinity.
    fn affine(&self) -> Option<Affine> {
        Option::<FieldElement>::from(self.z.invert()).map(|inverse| self.over(&inverse))
    }

    /// The affine point, given 1/Z.
    const fn over(&self, inverse: &FieldElement) -> Affine {
        let square = inverse.square();
        Affine { x: self.x.multiply(&square), y: self.y.multiply(&square.multiply(inverse)) }
    }

    /// 2P ("dbl-2001-b" for a = -3).
    fn double(&self) -> Self {
        let delta = self.z.square();
        let gamma = self.y.square();
        let beta = self.x.multiply(&gamma);
        let product = self.x.sub(&delta).multiply(&self.x.add(&delta));
        let alpha = product.double().add(&product);
        let four_beta = beta.double().double();
        let x = alpha.square().sub(&four_beta.double());
        let z = self.y.add(&self.z).square().sub(&gamma).sub(&delta);
        let y = alpha.multiply(&four_beta.sub(&x)).sub(&gamma.square().double().double().double());
        Self { x, y, z }
    }

    /// P + Q ("madd", with the cases in which its formula does not hold).
    fn add(&self, other: &Affine) -> Self {
        if self.is_infinity() {
            return other.jacobian();
        }
        let square = self.z.square();
        let h = other.x.multiply(&square).sub(&self.x);
        let r = other.y.multiply(&square.multiply(&self.z)).sub(&self.y);
        if bool::from(h.is_zero()) {
            return if bool::from(r.is_zero()) { self.double() } else { Self::INFINITY };
        }
        let hh = h.square();
        let hhh = hh.multiply(&h);
        let v = self.x.multiply(&hh);
        let x = r.square().sub(&hhh).sub(&v.double());
        let y = r.multiply(&v.sub(&x)).sub(&self.y.multiply(&hhh));
        Self { x, y, z: self.z.multiply(&h) }
    }

    /// P + \[digit\]Q, from the odd multiples of Q.
    fn add_multiple(self, digit: i16, odd: &[Affine]) -> Self {
        if digit == 0 {
            return self;
        }
        let Some(multiple) = odd.get(usize::from(digit.unsigned_abs() >> 1)) else { return Self::INFINITY };
        if digit < 0 { self.add(&multiple.negated()) } else { self.add(multiple) }
    }

    /// Whether the affine x is the given number modulo n: x is below p, which is between n and 2n.
    fn has_x(&self, wanted: &Scalar) -> bool {
        if self.is_infinity() {
            return false;
        }
        let square = self.z.square();
        let is = |x: FieldElement| self.x == x.multiply(&square);
        let element = |bytes| Option::<FieldElement>::from(FieldElement::from_repr(bytes));
        let Some(x) = element(wanted.to_repr()) else { return false };
        if is(x) {
            return true;
        }
        // x + n, where that is below p as well.
        let Some(order) = element(ORDER.into()) else { return false };
        let other = x.add(&order);
        other.to_repr() > x.to_repr() && is(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sm2::dsa::signature::{Signer, Verifier};
    use sm2::dsa::{Signature, SigningKey};
    use sm2::elliptic_curve::sec1::ToSec1Point;

    fn bytes(hex: &str) -> [u8; 32] {
        hex::decode(hex).unwrap().try_into().unwrap()
    }

    /// The example of GB/T 32918.5, A.2: the curve of the standard, signer "1234567812345678", message "message digest".
    fn example() -> (Key, [u8; 32], [u8; 32]) {
        let x = bytes("09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020");
        let y = bytes("ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13");
        let r = bytes("f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3");
        let s = bytes("b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa");
        (Key::new(&x, &y, b"1234567812345678").unwrap(), r, s)
    }

    fn scalar(bytes: [u8; 32]) -> Scalar {
        Scalar::reduce(&FieldBytes::from(bytes))
    }

    fn small(number: u8) -> Scalar {
        let mut bytes = [0; 32];
        bytes[31] = number;
        scalar(bytes)
    }

    fn coordinates(key: &SigningKey) -> ([u8; 32], [u8; 32]) {
        let point = key.verifying_key().to_sec1_point(false);
        (point.x().unwrap().to_vec().try_into().unwrap(), point.y().unwrap().to_vec().try_into().unwrap())
    }

    #[test]
    fn sm3_of_the_standard() {
        // GB/T 32905, A.1.
        let abc = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0";
        assert_eq!(sm3(&[b"a", b"bc"]), bytes(abc));
    }

    #[test]
    fn the_example_of_the_standard_verifies() {
        let (key, r, s) = example();
        assert_eq!(key.identity, bytes("b2e14c5c79c6df5b85f4fe7ed8db7a262b9da7e07ccb0ea9f4747b8ccda8a4f3"));
        assert!(key.verify(b"message digest", &r, &s));
        assert!(!key.verify(b"message digesu", &r, &s));
        assert!(!key.verify(b"message digest", &s, &r));
    }

    #[test]
    fn every_flipped_bit_of_a_signature_is_refused() {
        let (key, r, s) = example();
        for bit in 0..256 {
            let flip = |number: &[u8; 32]| {
                let mut number = *number;
                number[bit / 8] ^= 1 << (bit % 8);
                number
            };
            assert!(!key.verify(b"message digest", &flip(&r), &s), "bit {bit} of r");
            assert!(!key.verify(b"message digest", &r, &flip(&s)), "bit {bit} of s");
        }
    }

    #[test]
    fn numbers_outside_of_their_range_are_refused() {
        let (key, r, s) = example();
        let digest = sm3(&[&key.identity, b"message digest"]);
        assert!(key.check(&digest, &r, &s).is_some());
        for number in [[0; 32], ORDER, [0xff; 32]] {
            assert!(key.check(&digest, &number, &s).is_none());
            assert!(key.check(&digest, &r, &number).is_none());
        }
    }

    #[test]
    fn signatures_of_zero_are_refused_where_their_equation_holds() {
        // The digest is chosen to fit, which only who inverts the hash could do.
        let secret = SigningKey::from_slice("", &[7; 32]).unwrap();
        let (x, y) = coordinates(&secret);
        let key = Key::new(&x, &y, b"").unwrap();
        let point = ProjectivePoint::from(*secret.verifying_key().as_affine());
        let fits = |r: Scalar, s: Scalar| {
            let sum = ProjectivePoint::GENERATOR * s + point * r.add(&s);
            let digest = r.sub(&Scalar::reduce(&sum.to_affine().x()));
            let [digest, r, s] = [digest, r, s].map(|number| <[u8; 32]>::from(number.to_repr()));
            key.check(&digest, &r, &s).is_some()
        };
        assert!(fits(small(5), small(9)));
        assert!(!fits(small(0), small(9)), "r");
        assert!(!fits(small(5), small(0)), "s");
        assert!(!fits(small(5), small(5).neg()), "r + s");
    }

    #[test]
    fn what_is_no_point_is_no_key() {
        let x = bytes("09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020");
        let y = bytes("ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13");
        assert!(Key::new(&x, &x, b"").is_none(), "not on the curve");
        assert!(Key::new(&[0; 32], &[0; 32], b"").is_none(), "infinity");
        assert!(Key::new(&[0xff; 32], &y, b"").is_none(), "not in the field");
        assert!(Key::new(&x, &y, &[b'a'; 8191]).is_some());
        assert!(Key::new(&x, &y, &[b'a'; 8192]).is_none(), "the id's bits are counted in 16 bits");
    }

    #[test]
    fn sums_that_meet_themselves_are_right() {
        // Keys that are small multiples of the base point: table entries meet, cancel and double.
        for multiple in 1..20 {
            let key = ProjectivePoint::GENERATOR * small(multiple);
            let odd = odd_multiples(&Affine::of(&key.to_affine()).unwrap(), KEY_WIDTH);
            for (a, b) in [(1, 1), (1, 2), (7, 1), (multiple, 1), (200, 5)] {
                for (a, b) in [(small(a), small(b)), (small(a).neg(), small(b)), (small(a), small(b).neg())] {
                    let sum = sum_of_products(&a, &BASE, &b, &odd);
                    let expected = ProjectivePoint::GENERATOR * a + key * b;
                    let ours = sum.affine().map(|point| (point.x.to_repr(), point.y.to_repr()));
                    let theirs = Affine::of(&expected.to_affine()).filter(|_| expected != ProjectivePoint::IDENTITY);
                    assert_eq!(ours, theirs.map(|point| (point.x.to_repr(), point.y.to_repr())), "{multiple}");
                }
            }
        }
    }

    #[test]
    fn an_x_above_the_order_counts_modulo_the_order() {
        // The first point whose x is n or more: one in two numbers is an x of the curve.
        let order = FieldElement::from_repr(ORDER.into()).unwrap();
        let (k, point) = (0..64u8)
            .find_map(|k| {
                let x = order.add(&FieldElement::from_u64(k.into()));
                let compressed = [&[2][..], &x.to_repr()].concat();
                let point = Sec1Point::<Sm2>::from_bytes(compressed).ok()?;
                Some((k, Option::<AffinePoint>::from(AffinePoint::from_sec1_point(&point))?))
            })
            .unwrap();
        let point = Affine::of(&point).unwrap().jacobian();
        assert!(point.has_x(&small(k)));
        assert!(!point.has_x(&small(k + 1)));
        assert!(!Jacobian::INFINITY.has_x(&small(k)));
        // The same in other coordinates.
        let scale = FieldElement::from_u64(7);
        let scaled = Jacobian {
            x: point.x.multiply(&scale.square()),
            y: point.y.multiply(&scale.square().multiply(&scale)),
            z: scale,
        };
        assert!(scaled.has_x(&small(k)));
    }

    proptest! {
        #[test]
        fn digits_add_up_to_the_scalar(number in any::<[u8; 32]>(), width in 2usize..=8) {
            let scalar = scalar(number);
            let digits = digits(&scalar, width);
            let two = small(2);
            let sum = digits.iter().rev().fold(small(0), |sum, digit| {
                let magnitude = small(u8::try_from(digit.unsigned_abs()).unwrap());
                sum.multiply(&two).add(&if *digit < 0 { magnitude.neg() } else { magnitude })
            });
            prop_assert_eq!(sum, scalar);
            prop_assert!(digits.iter().all(|digit| *digit == 0 || (digit % 2 != 0 && digit.unsigned_abs() < 1 << (width - 1))));
        }

        #[test]
        fn rustcrypto_and_this_agree(
            secret in any::<[u8; 32]>(),
            message in prop::collection::vec(any::<u8>(), 0..200),
            id in "[ -~]{0,40}",
            change in prop::option::of((0usize..64, 1u8..)),
        ) {
            let signer = SigningKey::from_slice(&id, &scalar(secret).to_repr()).unwrap();
            let signature: Signature = signer.sign(&message);
            let (x, y) = coordinates(&signer);
            let key = Key::new(&x, &y, id.as_bytes()).unwrap();
            let mut numbers = signature.to_bytes();
            if let Some((place, mask)) = change {
                numbers[place] ^= mask;
            }
            let theirs = Signature::from_bytes(&numbers).is_ok_and(|s| signer.verifying_key().verify(&message, &s).is_ok());
            let (r, s) = (numbers[..32].try_into().unwrap(), numbers[32..].try_into().unwrap());
            prop_assert_eq!(key.verify(&message, &r, &s), theirs);
            prop_assert_eq!(theirs, change.is_none());
        }
    }
}
