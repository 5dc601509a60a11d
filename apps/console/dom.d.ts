/** A stream as the body of a request needs it; TypeScript's list of the DOM does not have it yet. */
interface RequestInit {
  duplex?: 'half';
}
