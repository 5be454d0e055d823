//! Assertions that something cannot be written, made by the compiler: each stands in a test, and
//! the tests do not compile where it is not so.

/// That a type has no methods of these names.
macro_rules! lacks {
    ($type:ty: $($method:ident),+) => {{
        struct Lacking;
        // A method of the type's own would be taken before these, however it takes `self`, and
        // gives no `Lacking`.
        trait Lacks {
            $(fn $method(&mut self) -> Lacking {
                Lacking
            })+
        }
        impl Lacks for $type {}
        $({
            fn absent(mut of: $type) -> Lacking {
                of.$method()
            }
            let _: fn($type) -> Lacking = absent;
        })+
    }};
}

/// That a type does not have a trait.
macro_rules! is_none {
    ($type:ty: $($bound:tt)+) => {{
        // With both of these the name below would be of either.
        trait Either<A> {
            fn named() {}
        }
        impl<T: ?Sized> Either<()> for T {}
        enum Has {}
        impl<T: $($bound)+> Either<Has> for T {}
        let _: fn() = <$type as Either<_>>::named;
    }};
}

pub(super) use {is_none, lacks};
